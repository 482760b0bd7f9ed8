// panva's oidc-provider as the provider of an organisation: TLS, one person, one public client, PKCE.
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { parse } from 'node:querystring'
import { Provider } from 'oidc-provider'

const { port, certificate, key, gateway, username, password, redirectUris } = JSON.parse(process.env.JUDGE)
const issuer = `https://127.0.0.1:${port}`
const signing = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })
const claims = { sub: username, name: 'Beispiel: Petra Muster', email: 'petra@example.org', roles: ['Leitung'] }

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: 'verbund',
      token_endpoint_auth_method: 'none',
      id_token_signed_response_alg: 'ES256',
      redirect_uris: redirectUris,
      post_logout_redirect_uris: [`${gateway}/oauth2/signed-out`],
    },
  ],
  jwks: { keys: [{ ...signing, kid: 'judge', use: 'sig', alg: 'ES256' }] },
  claims: { openid: ['sub', 'roles'], profile: ['name'], email: ['email'] },
  conformIdTokenClaims: false, // name and roles stand in the ID token
  cookies: { keys: ['of this test alone'] },
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_, id) => ({ accountId: id, claims: () => claims }),
  // Whoever signs in here has agreed.
  async loadExistingGrant({ oidc }) {
    const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId })
    grant.addOIDCScope('openid profile email')
    await grant.save()
    return grant
  },
})

const form = `<!doctype html><title>Anmelden</title><form method="post" action="">
<input name="username"><input name="password" type="password"><button>Anmelden</button></form>`
const oidc = provider.callback()

createServer({ cert: readFileSync(certificate), key: readFileSync(key) }, async (request, response) => {
  if (!request.url.startsWith('/interaction/')) return oidc(request, response)
  if (request.method === 'GET') {
    return response.setHeader('content-type', 'text/html').end(form.replace('action=""', `action="${request.url}"`))
  }
  let body = ''
  for await (const chunk of request) body += chunk
  const typed = parse(body)
  const known = typed.username === username && typed.password === password
  const result = known ? { login: { accountId: username } } : { error: 'access_denied' }
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false })
}).listen(port, '127.0.0.1', () => console.log(JSON.stringify({ ready: issuer })))
