// Asking the service. A problem (RFC 9457) becomes an Error with its detail.

export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(`/api${path}`, { credentials: "same-origin", ...options });
  } catch {
    throw new Refused(0, "The service does not answer.");
  }
  if (!answer.ok) throw await refusal(answer);
  if (answer.status === 204) return null;
  return answer.json();
}

async function refusal(answer) {
  try {
    return new Refused(answer.status, (await answer.json()).detail);
  } catch {
    return new Refused(answer.status, `The service answered ${answer.status}.`);
  }
}

const json = (method, body) => ({
  method,
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(body),
});

export const api = {
  health: () => ask("/health"),
  session: () => ask("/session"),
  signIn: (token) => ask("/session", json("POST", { token })),
  signOut: () => ask("/session", { method: "DELETE" }),
  studies: () => ask("/studies").then((answer) => answer.studies),
  study: (id) => ask(`/studies/${id}`),
  remove: (id) => ask(`/studies/${id}`, { method: "DELETE" }),
  cancel: (id) => ask(`/jobs/${id}/cancel`, { method: "POST" }),
  retry: (id) => ask(`/jobs/${id}/retry`, { method: "POST" }),
  result: (id) => ask(`/studies/${id}/result`),
  documents: (id) => ask(`/studies/${id}/documents`).then((answer) => answer.documents),
  findings: (id) => ask(`/studies/${id}/findings`),
  priors: (id) => ask(`/studies/${id}/priors`).then((answer) => answer.studies),
  alignment: (id, prior) => ask(`/studies/${id}/priors/${prior}/alignment`),
  annotate: (id, said) => ask(`/studies/${id}/annotations`, json("POST", said)),
  change: (id, annotation, said) =>
    ask(`/studies/${id}/annotations/${annotation}`, json("PUT", said)),
  withdraw: (id, annotation) =>
    ask(`/studies/${id}/annotations/${annotation}`, { method: "DELETE" }),
  beginUpload: () => ask("/uploads", { method: "POST" }),
  finishUpload: (upload) => ask(`/uploads/${upload}/finish`, { method: "POST" }),
  dropUpload: (upload) => ask(`/uploads/${upload}`, { method: "DELETE" }),
};

export const view = (id, name) => `/api/studies/${id}/views/${name}.nii.gz`;
export const document_ = (id, format) => `/api/studies/${id}/documents/${format}`;

// Send one body and tell how much of it has gone; fetch cannot tell.
export function send(method, path, body, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, `/api${path}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = (event) => progress(event.loaded);
    request.onerror = () => reject(new Refused(0, "The upload broke off."));
    request.onload = () => {
      let answer = null;
      try {
        answer = request.responseText ? JSON.parse(request.responseText) : null;
      } catch {
        answer = null;
      }
      if (request.status >= 200 && request.status < 300) resolve(answer);
      else {
        const detail = answer?.detail ?? `The service answered ${request.status}.`;
        reject(new Refused(request.status, detail));
      }
    };
    request.send(body);
  });
}
