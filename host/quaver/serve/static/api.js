// Asks the server: JSON over HTTP, below api/v1 beside the page. An error is one line, as the server said it.

const BASE = new URL("api/v1/", document.baseURI);
const TIMEOUT_MS = 20_000;

/** What the server refused, or that it did not answer: status 0. message: one line, for a person. */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

let csrf = "";
let expired = () => {};

/** The token that each change has to carry; GET me and POST session answer with it. */
export function setCsrf(token) {
  csrf = token ?? "";
}

/** callback: called where the server knows no session any more. */
export function onExpired(callback) {
  expired = callback;
}

/** The address of a path of the API, for a link or an EventSource. */
export function address(path) {
  return new URL(path.replace(/^\//, ""), BASE).href;
}

/** The answer to a request. path: "nodes/0a1b/series"; query: {name: value}, null is left out; body: sent as JSON.
 *  as: "json", "bytes" or "text". Raises ApiError. */
export async function api(path, { method = "GET", body, query, signal, as = "json", quiet = false } = {}) {
  const url = new URL(address(path));
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, value);
  }
  const headers = { Accept: as === "json" ? "application/json" : "*/*" };
  if (method !== "GET") headers["X-CSRF-Token"] = csrf;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  let answer;
  try {
    answer = await fetch(url, {
      method, headers, credentials: "same-origin", cache: "no-store",
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, "");
  }
  if (!answer.ok) {
    const said = await answer.json().catch(() => ({}));
    if (answer.status === 401 && !quiet) expired();
    throw new ApiError(answer.status, typeof said.error === "string" ? said.error : "");
  }
  if (answer.status === 204) return null;
  if (as === "bytes") return answer.arrayBuffer();
  return as === "text" ? answer.text() : answer.json();
}
