"""reset_rule: let go a rule that has tripped, once its condition holds no longer."""

if False:  # types alone: never compiled
    from service.obey import Service

ARGUMENTS = (("rule", str, 1, 12),)
NOTED = True


async def run(node: "Service", rule: str) -> None:
    rules = node.parts.get("rules")
    if rules is None:
        raise ValueError("no rules on this node")
    rules.reset(rule)
