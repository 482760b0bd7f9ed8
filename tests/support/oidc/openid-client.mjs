// panva's openid-client signs on, refreshes twice and signs out, with every check that it has.
import * as oidc from 'openid-client'
import { check, privateKey, say, settings, visit } from './talk.mjs'

const { issuer, client, redirectUri, afterUri, scope } = settings
const authentication = {
  secret: () => oidc.ClientSecretPost(settings.secret),
  public: () => oidc.None(),
  key: async () => oidc.PrivateKeyJwt({ key: await privateKey(), kid: settings.kid }),
}
const execute = [oidc.enableNonRepudiationChecks] // verifies signatures, although TLS would do
const proof = await authentication[settings.kind]()
const config = await oidc.discovery(new URL(issuer), client, undefined, proof, { execute })
check(config.serverMetadata().supportsPKCE(), 'PKCE is not announced')

const verifier = oidc.randomPKCECodeVerifier()
const state = oidc.randomState()
const nonce = oidc.randomNonce()
const arrived = await visit(
  oidc.buildAuthorizationUrl(config, {
    redirect_uri: redirectUri,
    scope,
    state,
    nonce,
    max_age: '3600',
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  }),
)
const first = await oidc.authorizationCodeGrant(config, arrived, {
  pkceCodeVerifier: verifier,
  expectedState: state,
  expectedNonce: nonce,
  maxAge: 3600,
  idTokenExpected: true,
})
const { sub } = first.claims()
const userinfo = await oidc.fetchUserInfo(config, first.access_token, sub)

const second = await oidc.refreshTokenGrant(config, first.refresh_token)
const third = await oidc.refreshTokenGrant(config, second.refresh_token)
const rotated = new Set([first, second, third].map((tokens) => tokens.refresh_token)).size === 3
check(third.claims().sub === sub, 'after a refresh it is somebody else')
await oidc.fetchUserInfo(config, third.access_token, sub)
say({ signedOn: { claims: first.claims(), userinfo, rotated, accessToken: first.access_token } })

const leaving = oidc.randomState()
const left = await visit(
  oidc.buildEndSessionUrl(config, {
    id_token_hint: third.id_token,
    post_logout_redirect_uri: afterUri,
    state: leaving,
  }),
)
check(left.searchParams.get('state') === leaving, 'the state of the sign-out did not come back')
const refusal = await oidc.refreshTokenGrant(config, third.refresh_token).then(
  () => 'none',
  (error) => error.error,
)
say({ signedOut: { at: left.origin + left.pathname, refusal } })
