// The words of the plant's screen, in both languages.

export const words = {
  en: {
    "plant.title": "Plant", "plant.search": "Search nodes, assets, faults, versions", "plant.states": "Show by state", "plant.view": "View",
    "plant.view.tree": "Tree", "plant.view.tiles": "Tiles", "plant.view.map": "Plan", "plant.role": "Kind", "plant.role.all": "Nodes and gateways",
    "plant.role.node": "Nodes", "plant.role.gateway": "Gateways", "plant.role.gateway.one": "gateway", "plant.role.node.one": "node", "plant.version": "Version", "plant.version.all": "All versions",
    "plant.wrong": "What is wrong", "plant.wrong.count": "{count} of {all}", "plant.right": "Nothing is wrong", "plant.right.text": "All {count} nodes report, and none is above its limits.",
    "plant.places": "All places", "plant.nodes": "{count} nodes", "plant.of": "of {count}", "plant.gone": "silent since {time}", "plant.alarm.one": "1 open alarm", "plant.alarm.many": "{count} open alarms",
    "plant.zone": "Zone {zone} of ISO 20816", "plant.zone.short": "zone ", "plant.found": "{count} of {all} nodes", "plant.nothing": "No node matches", "plant.nothing.text": "Search for less, or take the filters away.",
    "plant.clear": "Show all nodes", "plant.none": "No node has reported yet", "plant.none.text": "As soon as a node sends its first record, it stands here.",
    "fault.outer_race": "outer race", "fault.inner_race": "inner race", "fault.ball": "ball", "fault.cage": "cage", "fault.unbalance": "unbalance", "fault.misalignment": "misalignment",
    "fault.looseness": "looseness", "fault.gear_mesh": "gear mesh", "fault.resonance": "resonance", "fault.electrical": "electrical",
    "plan.none": "No plan picture yet", "plan.none.text": "Start the page with --plan FILE.toml: a picture of the hall and where on it each node is.", "plan.off": "{count} nodes have no place on the plan", "plan.alt": "Plan of {name} with {count} nodes",
  },
  de: {
    "plant.title": "Anlage", "plant.search": "Knoten, Maschinen, Fehler, Versionen suchen", "plant.states": "Nach Zustand zeigen", "plant.view": "Ansicht",
    "plant.view.tree": "Baum", "plant.view.tiles": "Kacheln", "plant.view.map": "Plan", "plant.role": "Art", "plant.role.all": "Knoten und Gateways",
    "plant.role.node": "Knoten", "plant.role.gateway": "Gateways", "plant.role.gateway.one": "Gateway", "plant.role.node.one": "Knoten", "plant.version": "Version", "plant.version.all": "Alle Versionen",
    "plant.wrong": "Was nicht stimmt", "plant.wrong.count": "{count} von {all}", "plant.right": "Alles in Ordnung", "plant.right.text": "Alle {count} Knoten melden sich, keiner ist über seinen Grenzen.",
    "plant.places": "Alle Orte", "plant.nodes": "{count} Knoten", "plant.of": "von {count}", "plant.gone": "stumm seit {time}", "plant.alarm.one": "1 offener Alarm", "plant.alarm.many": "{count} offene Alarme",
    "plant.zone": "Zone {zone} nach ISO 20816", "plant.zone.short": "Zone ", "plant.found": "{count} von {all} Knoten", "plant.nothing": "Kein Knoten passt", "plant.nothing.text": "Suchen Sie nach weniger oder nehmen Sie die Filter weg.",
    "plant.clear": "Alle Knoten zeigen", "plant.none": "Noch hat sich kein Knoten gemeldet", "plant.none.text": "Sobald ein Knoten seinen ersten Datensatz sendet, steht er hier.",
    "fault.outer_race": "Außenring", "fault.inner_race": "Innenring", "fault.ball": "Wälzkörper", "fault.cage": "Käfig", "fault.unbalance": "Unwucht", "fault.misalignment": "Fehlausrichtung",
    "fault.looseness": "Lockerung", "fault.gear_mesh": "Zahneingriff", "fault.resonance": "Resonanz", "fault.electrical": "elektrisch",
    "plan.none": "Noch kein Plan", "plan.none.text": "Starten Sie die Seite mit --plan DATEI.toml: ein Bild der Halle und wo darauf jeder Knoten ist.", "plan.off": "{count} Knoten haben keinen Ort auf dem Plan", "plan.alt": "Plan von {name} mit {count} Knoten",
  },
};
