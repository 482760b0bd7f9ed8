// panva's oauth4webapi, which leaves every step to its caller: each answer goes through the library's own check.
import * as oauth from 'oauth4webapi'
import { check, privateKey, say, settings, visit } from './talk.mjs'

const issuer = new URL(settings.issuer)
const { redirectUri, afterUri, scope } = settings
const client = { client_id: settings.client, require_auth_time: true }
const authentication = {
  secret: () => oauth.ClientSecretPost(settings.secret),
  public: () => oauth.None(),
  key: async () => oauth.PrivateKeyJwt({ key: await privateKey(), kid: settings.kid }),
}
const proof = await authentication[settings.kind]()
const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer))

const verifier = oauth.generateRandomCodeVerifier()
const state = oauth.generateRandomState()
const nonce = oauth.generateRandomNonce()
const asked = new URL(as.authorization_endpoint)
asked.search = new URLSearchParams({
  client_id: client.client_id,
  redirect_uri: redirectUri,
  response_type: 'code',
  scope,
  state,
  nonce,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: 'S256',
})
const answered = oauth.validateAuthResponse(as, client, await visit(asked), state)
const exchange = await oauth.authorizationCodeGrantRequest(as, client, proof, answered, redirectUri, verifier)
const first = await oauth.processAuthorizationCodeResponse(as, client, exchange, {
  expectedNonce: nonce,
  requireIdToken: true,
})
await oauth.validateApplicationLevelSignature(as, exchange)
const claims = oauth.getValidatedIdTokenClaims(first)
const userinfo = await told(first)

const second = await refreshed(first)
const third = await refreshed(second)
const rotated = new Set([first, second, third].map((tokens) => tokens.refresh_token)).size === 3
await told(third)
say({ signedOn: { claims, userinfo, rotated, accessToken: first.access_token } })

const leaving = oauth.generateRandomState()
const ending = new URL(as.end_session_endpoint)
ending.search = new URLSearchParams({
  id_token_hint: third.id_token,
  client_id: client.client_id,
  post_logout_redirect_uri: afterUri,
  state: leaving,
})
const left = await visit(ending)
check(left.searchParams.get('state') === leaving, 'the state of the sign-out did not come back')
const refusal = await refreshed(third).then(
  () => 'none',
  (error) => error.error,
)
say({ signedOut: { at: left.origin + left.pathname, refusal } })

async function told(tokens) {
  const response = await oauth.userInfoRequest(as, client, tokens.access_token)
  return oauth.processUserInfoResponse(as, client, claims.sub, response)
}

async function refreshed(tokens) {
  const response = await oauth.refreshTokenGrantRequest(as, client, proof, tokens.refresh_token)
  const found = await oauth.processRefreshTokenResponse(as, client, response)
  await oauth.validateApplicationLevelSignature(as, response)
  check(oauth.getValidatedIdTokenClaims(found).sub === claims.sub, 'after a refresh it is somebody else')
  return found
}
