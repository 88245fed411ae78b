/**
 * The pages of the embedded issuer: sign in as anybody, allow or refuse. Plain forms without script, so that
 * a scripted browser and a person can both use them. Everything that came from outside is escaped.
 */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

export function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 26rem; margin: 12vh auto; padding: 0 1rem }
input, button { font: inherit; padding: .4rem .8rem }
</style>
</head>
<body>
<h1>${escapeHtml(title)}</h1>
${body}
</body>
</html>
`;
}

export function signInPage(clientId: string, hint: string): string {
  return page('Sign in', `<p><b>${escapeHtml(clientId)}</b> asks you to sign in. Any name will do; there is no password.</p>
<form method="post">
<p><label>Name <input name="login" value="${escapeHtml(hint)}" required autofocus autocomplete="username"></label></p>
<p><button name="action" value="sign_in">Sign in</button> <button name="action" value="deny" formnovalidate>Cancel</button></p>
</form>`);
}

export function consentPage(clientId: string, login: string, wanted: readonly string[]): string {
  return page('Allow access?', `<p><b>${escapeHtml(clientId)}</b> asks for, as <b>${escapeHtml(login)}</b>:</p>
<ul>${wanted.map((each) => `<li>${escapeHtml(each)}</li>`).join('')}</ul>
<form method="post">
<p><button name="action" value="allow">Allow</button> <button name="action" value="deny">Refuse</button></p>
</form>`);
}

/** oidc-provider brings the form; its buttons stand outside and name it. */
export function deviceCodePage(form: string, problem: string | null): string {
  return page('Connect a device', `${problem === null ? '' : `<p role="alert">${escapeHtml(problem)}</p>`}
<p>Enter the code that your device shows.</p>
${form}
<p><button form="op.deviceInputForm">Continue</button></p>`);
}

export function deviceConfirmPage(form: string, clientId: string, userCode: string): string {
  return page('Is this your device?', `<p><b>${escapeHtml(clientId)}</b> shows this code: <code>${escapeHtml(userCode)}</code></p>
${form}
<p><button form="op.deviceConfirmForm">Continue</button> <button form="op.deviceConfirmForm" name="abort" value="yes">Refuse</button></p>`);
}
