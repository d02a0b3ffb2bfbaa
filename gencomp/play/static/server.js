// Questions to the local server: answers, and streams that can be stopped.

export const page = Math.random().toString(36).slice(2);

let turn = 0; // requests may overtake one another: the server goes by their numbers

async function post(path, body, signal) {
  return fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ page, turn: ++turn, ...body }),
    signal,
  });
}

async function refusal(response) {
  try {
    return (await response.json()).error;
  } catch {
    return `the server answered ${response.status}`;
  }
}

export async function start() {
  const response = await fetch("api/start");
  if (!response.ok) throw new Error(await refusal(response));
  return response.json();
}

// Returns the answer; throws an Error that says what is wrong.
export async function ask(path, body, signal) {
  const response = await post(path, body, signal);
  if (!response.ok) throw new Error(await refusal(response));
  const answer = await response.json();
  if (answer.error !== undefined) throw new Error(answer.error);
  return answer;
}

// Calls `take` with each event of a stream until it ends, fails or is stopped by `signal`.
export async function listen(path, body, take, signal) {
  try {
    const response = await post(path, body, signal);
    if (!response.ok) {
      take({ event: "error", message: await refusal(response) });
      return;
    }
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let held = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      held += value;
      const parts = held.split("\n\n");
      held = parts.pop();
      for (const part of parts) if (!signal.aborted) take(JSON.parse(part.slice("data: ".length)));
    }
  } catch (error) {
    if (signal.aborted) return;
    take({ event: "error", message: `the server does not answer: is gencomp play still running? (${error.message})` });
  }
}
