// How a client's program and the test talk: one JSON object a line. The test plays the browser.
import { createInterface } from 'node:readline'
import { createPrivateKey } from 'node:crypto'

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

/** What the test asks for: see Registration in tests/support/oidc/judges.py. */
export const settings = JSON.parse(process.env.JUDGE)

/** Says something to the test. */
export function say(told) {
  process.stdout.write(`${JSON.stringify(told)}\n`)
}

/** Sends the browser somewhere; the value is where it came back. */
export async function visit(url) {
  say({ visit: String(url) })
  const { value, done } = await lines.next()
  if (done) throw new Error('the test is gone')
  return new URL(JSON.parse(value).arrived)
}

/** The client's private key, as Web Crypto takes it. */
export async function privateKey() {
  const der = createPrivateKey(settings.key).export({ type: 'pkcs8', format: 'der' })
  return crypto.subtle.importKey('pkcs8', der, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'])
}

export function check(holds, what) {
  if (!holds) throw new Error(what)
}
