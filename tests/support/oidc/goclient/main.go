// Coreos' go-oidc with golang.org/x/oauth2 signs on, refreshes twice and signs out, with every check that they have.
package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// What the test asks for: see Registration in tests/support/oidc/judges.py.
type settings struct {
	Issuer, Client, Secret, Scope, RedirectURI, AfterURI string
}

var fromTest = bufio.NewScanner(os.Stdin)

func main() {
	log.SetFlags(0)
	var stated settings
	must(json.Unmarshal([]byte(os.Getenv("JUDGE")), &stated))
	ctx := oidc.ClientContext(context.Background(), &http.Client{Timeout: 15 * time.Second})
	provider, err := oidc.NewProvider(ctx, stated.Issuer)
	must(err)
	var more struct {
		EndSession string `json:"end_session_endpoint"`
	}
	must(provider.Claims(&more))
	config := &oauth2.Config{
		ClientID:     stated.Client,
		ClientSecret: stated.Secret,
		Endpoint:     provider.Endpoint(),
		RedirectURL:  stated.RedirectURI,
		Scopes:       strings.Fields(stated.Scope),
	}
	config.Endpoint.AuthStyle = oauth2.AuthStyleInParams

	state, nonce, verifier := rand.Text(), rand.Text(), oauth2.GenerateVerifier()
	arrived := visit(config.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)))
	answer := arrived.Query()
	check(answer.Get("state") == state, "the state did not come back")
	check(answer.Get("iss") == stated.Issuer, "another issuer answered")
	first, err := config.Exchange(ctx, answer.Get("code"), oauth2.VerifierOption(verifier))
	must(err)
	identity := verified(ctx, provider, config, first)
	check(identity.Nonce == nonce, "the ID token answers another request")

	userinfo, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(first))
	must(err)
	check(userinfo.Subject == identity.Subject, "userinfo speaks of somebody else")
	var told, claims map[string]any
	must(userinfo.Claims(&told))
	must(identity.Claims(&claims))

	second := refreshed(ctx, config, first)
	third := refreshed(ctx, config, second)
	check(verified(ctx, provider, config, third).Subject == identity.Subject, "after a refresh it is somebody else")
	_, err = provider.UserInfo(ctx, oauth2.StaticTokenSource(third))
	must(err)
	tokens := map[string]bool{first.RefreshToken: true, second.RefreshToken: true, third.RefreshToken: true}
	say("signedOn", map[string]any{
		"claims": claims, "userinfo": told, "rotated": len(tokens) == 3, "accessToken": first.AccessToken,
	})

	leaving := rand.Text()
	hint, _ := third.Extra("id_token").(string)
	query := url.Values{
		"id_token_hint": {hint}, "post_logout_redirect_uri": {stated.AfterURI}, "state": {leaving},
	}
	left := visit(more.EndSession + "?" + query.Encode())
	check(left.Query().Get("state") == leaving, "the state of the sign-out did not come back")
	at := left.Scheme + "://" + left.Host + left.Path
	say("signedOut", map[string]any{"at": at, "refusal": refusal(ctx, config, third)})
}

// verified is the ID token of an answer, with the access token that it is tied to.
func verified(ctx context.Context, provider *oidc.Provider, config *oauth2.Config, tokens *oauth2.Token) *oidc.IDToken {
	text, _ := tokens.Extra("id_token").(string)
	token, err := provider.Verifier(&oidc.Config{ClientID: config.ClientID}).Verify(ctx, text)
	must(err)
	must(token.VerifyAccessToken(tokens.AccessToken))
	return token
}

// refreshed is what a refresh token is good for.
func refreshed(ctx context.Context, config *oauth2.Config, tokens *oauth2.Token) *oauth2.Token {
	found, err := config.TokenSource(ctx, &oauth2.Token{RefreshToken: tokens.RefreshToken}).Token()
	must(err)
	return found
}

// refusal is how the token endpoint refuses a refresh token.
func refusal(ctx context.Context, config *oauth2.Config, tokens *oauth2.Token) string {
	_, err := config.TokenSource(ctx, &oauth2.Token{RefreshToken: tokens.RefreshToken}).Token()
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) {
		return refused.ErrorCode
	}
	return fmt.Sprint(err)
}

// visit sends the browser somewhere; the value is where it came back.
func visit(address string) *url.URL {
	say("visit", address)
	check(fromTest.Scan(), "the test is gone")
	var answer struct{ Arrived string }
	must(json.Unmarshal(fromTest.Bytes(), &answer))
	arrived, err := url.Parse(answer.Arrived)
	must(err)
	return arrived
}

func say(what string, told any) {
	must(json.NewEncoder(os.Stdout).Encode(map[string]any{what: told}))
}

func check(holds bool, what string) {
	if !holds {
		log.Fatal(what)
	}
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
