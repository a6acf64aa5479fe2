// The API as this page uses it: one token, kept for the life of the browser's tab.

const KEY = "reeve.token";

export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

let token = sessionStorage.getItem(KEY);
let onExpired = () => {};

export function loggedIn() {
  return token !== null;
}

export function whenExpired(callback) {
  onExpired = callback;
}

export function logout() {
  token = null;
  sessionStorage.removeItem(KEY);
}

// btoa takes bytes, and keys may be any text.
function base64(text) {
  let bytes = "";
  for (const b of new TextEncoder().encode(text)) bytes += String.fromCharCode(b);
  return btoa(bytes);
}

async function post(name, authorization, body, signal) {
  let response;
  try {
    response = await fetch(`/api/${name}`, {
      method: "POST",
      headers: { Authorization: authorization, "Content-Type": "application/json" },
      body: JSON.stringify(body ?? {}),
      signal,
      credentials: "omit",
      cache: "no-store",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, 0, "The server does not answer");
  }
  return response;
}

async function readData(response) {
  let answer;
  try {
    answer = await response.json();
  } catch {
    throw new ApiError(response.status, 0, `Unexpected answer (${response.status})`);
  }
  const meta = answer?.meta ?? {};
  if (meta.result_code !== 200)
    throw new ApiError(meta.result_code ?? response.status, meta.result_subcode ?? 0,
      String(meta.result_msg ?? "Unknown error"));
  return answer.data ?? {};
}

async function loginWith(authorization) {
  const data = await readData(await post("auth.login", authorization));
  if (typeof data.token !== "string") throw new ApiError(200, 0, "The server gave no token");
  token = data.token;
  sessionStorage.setItem(KEY, token);
}

export function loginWithKeys(key, secret) {
  return loginWith(`Basic ${base64(`${key}:${secret}`)}`);
}

export function loginWithToken(given) {
  return loginWith(`Bearer ${given.trim()}`);
}

async function authorised(name, body, signal) {
  const response = await post(name, `Bearer ${token}`, body, signal);
  if (response.status === 401) {
    logout();
    onExpired();
    throw new ApiError(401, 0, "Logged out");
  }
  return response;
}

export async function call(name, body, signal) {
  return readData(await authorised(name, body, signal));
}

// An answer that is a file.
export async function download(name, body) {
  const response = await authorised(name, body);
  if (!response.ok) await readData(response);
  return response.blob();
}
