//! Signing in with an identity provider: right, and wrong in every way that matters.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use busyhour_api::{InvalidProvider, Provider, ProviderConfig, Rule};
use busyhour_store::{AccountName, Act, Grant, NewSession, NewUser, Role};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::provider_stub::{CLIENT, CODE, SECRET, Signer, Stub};
use crate::support::{Answer, Bed, MASKED, NOW};

fn rule(value: &str, role: Role, buildings: Option<&str>) -> Rule {
    let buildings = buildings.map(|name| vec![name.to_owned()]);
    Rule { claim: "groups".to_owned(), value: value.to_owned(), role, buildings }
}

fn config(issuer: &str) -> ProviderConfig {
    ProviderConfig {
        name: "Example Corp".to_owned(),
        issuer: issuer.to_owned(),
        client_id: CLIENT.to_owned(),
        client_secret: SECRET.to_owned(),
        roots: None,
        scopes: vec!["groups".to_owned()],
        name_claim: "preferred_username".to_owned(),
        rules: vec![rule("noc", Role::Operator, Some(MASKED)), rule("staff", Role::Viewer, None)],
    }
}

fn provider(stub: &Stub) -> Provider {
    Provider::new(config(&stub.issuer), "http://localhost:8080").expect("a provider")
}

/// A collector with an administrator and this provider.
fn bed(stub: &Stub) -> Bed {
    let bed = Bed::full().with_provider(Some(provider(stub)));
    let eva = NewUser {
        name: AccountName::new("eva").expect("a name"),
        password_hash: "none".to_owned(),
        grant: Grant::administrator(),
    };
    bed.accounts.add_user(&eva, &Act::by_operator(NOW)).expect("added");
    bed
}

/// The token of a session of the administrator's.
fn session_of_eva(bed: &Bed) -> String {
    let token = "bhs_of-eva".to_owned();
    let users = bed.accounts.users().expect("users");
    let eva = users.iter().find(|user| user.name.as_str() == "eva").expect("eva").number;
    let session = NewSession {
        token_sha256: Sha256::digest(token.as_bytes()).into(),
        user: eva,
        expires: NOW.plus(Duration::from_secs(60)),
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    bed.accounts.begin_session(&session, &Act::by_operator(NOW)).expect("begun");
    token
}

/// A browser: an address, and the cookies that it has.
async fn browse(bed: &Bed, address: &str, cookies: &str) -> Answer {
    let request = Request::get(address)
        .header("host", "localhost:8080")
        .header("sec-fetch-site", "cross-site")
        .header("accept", "text/html");
    bed.send(request.header("cookie", cookies), Body::empty()).await
}

fn cookie(answer: &Answer) -> String {
    answer.header("set-cookie").split(';').next().expect("a cookie").to_owned()
}

/// Goes to the provider: where to, and what the browser keeps.
async fn go(bed: &Bed) -> (String, String) {
    let answer = browse(bed, "/sign-in/provider?back=/buildings/7", "").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    (answer.header("location").to_owned(), cookie(&answer))
}

/// Goes there, signs in, and comes back.
async fn sign_in(bed: &Bed, stub: &Stub) -> Answer {
    let (there, browser) = go(bed).await;
    browse(bed, &stub.sign_in(&there), &browser).await
}

/// Nobody comes in, nothing is told, and nobody is a user who was none.
fn refused(bed: &Bed, answer: &Answer, status: StatusCode, why: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert!(answer.body.contains(why), "{why}: {}", answer.body);
    assert!(!answer.headers.contains_key("set-cookie"));
    assert!(!answer.body.contains("canary"), "{}", answer.body);
    let users = bed.accounts.users().expect("users");
    let names: Vec<&str> = users.iter().map(|user| user.name.as_str()).collect();
    assert_eq!(names, ["eva"]);
}

#[tokio::test]
async fn who_comes_back_from_the_provider_is_let_in_with_the_role_of_the_claims() {
    let stub = Stub::start();
    let bed = bed(&stub);
    let page = browse(&bed, "/sign-in?back=/buildings/7", "").await;
    let link = "<a class=\"button\" href=\"/sign-in/provider?back=/buildings/7\">\
                Sign in with Example Corp</a>";
    assert!(page.body.contains(link), "{}", page.body);
    assert_eq!(stub.asked(""), 0, "nobody is asked before somebody goes there");

    let (there, browser) = go(&bed).await;
    let told = browse(&bed, "/sign-in/provider", &browser).await;
    let attributes = "; Path=/; Max-Age=600; HttpOnly; SameSite=Lax";
    assert_eq!(told.header("set-cookie"), format!("{browser}{attributes}"), "a second tab");
    let back = browse(&bed, &stub.sign_in(&there), &browser).await;
    assert_eq!(back.status, StatusCode::SEE_OTHER, "{}", back.body);
    assert_eq!(back.header("location"), "/buildings/7");
    let session = cookie(&back);
    let me = browse(&bed, "/api/v1/whoami", &session).await.json();
    let told = (&me["kind"], &me["name"], &me["role"], &me["building_ids"]);
    assert_eq!(told, (&"user".into(), &"paula".into(), &"viewer".into(), &Value::Null));
    let account = browse(&bed, "/account", &session).await.body;
    assert!(account.contains("An identity provider proves") && account.contains("Sign out"));
    assert!(!account.contains("type=\"password\""), "{account}");

    // What the provider says at the next sign-in holds from then on, in the old session, too.
    stub.behaviour().claims =
        json!({ "preferred_username": "somebody.else", "groups": ["noc", "staff"] });
    assert_eq!(sign_in(&bed, &stub).await.status, StatusCode::SEE_OTHER);
    let me = browse(&bed, "/api/v1/whoami", &session).await.json();
    assert_eq!((&me["name"], &me["role"]), (&"paula".into(), &"operator".into()));
    assert_eq!(me["building_ids"], json!([bed.building(MASKED).to_string()]));
    let audit: Vec<String> = bed
        .accounts
        .chained_audit(0, 100)
        .expect("the audit")
        .iter()
        .map(|row| format!("{} {}", row.entry.by.actor, row.entry.action.as_str()))
        .collect();
    let expected =
        ["collector add-user", "paula sign-in", "collector change-user", "paula sign-in"];
    assert_eq!(audit[audit.len() - 4..], expected, "{audit:?}");
    assert_eq!(stub.asked("/openid-configuration") + stub.asked("/keys"), 2, "both are kept");
}

#[tokio::test]
async fn a_try_is_of_one_browser_and_good_for_once() {
    let stub = Stub::start();
    let bed = bed(&stub);
    let wrong = "of no try to sign in from this browser";
    let (there, _) = go(&bed).await;
    let (_, other) = go(&bed).await;
    let answer = browse(&bed, &stub.sign_in(&there), &other).await;
    refused(&bed, &answer, StatusCode::FORBIDDEN, wrong);
    for cookies in ["", "busyhour-loopback-sign-in=", "busyhour-loopback-sign-in=0"] {
        let (there, _) = go(&bed).await;
        let answer = browse(&bed, &stub.sign_in(&there), cookies).await;
        refused(&bed, &answer, StatusCode::FORBIDDEN, wrong);
    }
    let (there, browser) = go(&bed).await;
    let back = stub.sign_in(&there);
    for foreign in [back.replace("state=", "state=0"), back.replace("state=", "other=")] {
        let answer = browse(&bed, &foreign, &browser).await;
        refused(&bed, &answer, StatusCode::FORBIDDEN, wrong);
    }
    assert_eq!(stub.asked("/token"), 0, "no code was redeemed");
    assert_eq!(browse(&bed, &back, &browser).await.status, StatusCode::SEE_OTHER);
    let again = browse(&bed, &back, &browser).await;
    assert_eq!(again.status, StatusCode::FORBIDDEN);
    assert!(again.body.contains(wrong) && !again.headers.contains_key("set-cookie"));
    assert_eq!(stub.asked("/token"), 1);
}

#[tokio::test]
async fn a_token_that_is_not_right_lets_nobody_in() {
    let stub = Stub::start();
    let unhelpful = "the collector&#39;s log tells why";
    let now_s = NOW.0 / 1_000_000;
    let staff = |name: &str, value: Value| {
        let mut claims = json!({ "preferred_username": "paula", "groups": ["staff"] });
        claims[name] = value;
        claims
    };
    for (name, value) in [
        ("iss", json!("http://127.0.0.1:1/realm")),
        ("aud", json!("another")),
        ("aud", json!([CLIENT, "another"])),
        ("azp", json!("another")),
        ("exp", json!(now_s - 61)),
        ("iat", json!(now_s - 3_600)),
        ("nonce", json!("of another try")),
        ("nonce", Value::Null),
        ("sub", Value::Null),
    ] {
        stub.behaviour().claims = staff(name, value);
        // One address does not have so many tries.
        let bed = bed(&stub);
        let answer = sign_in(&bed, &stub).await;
        refused(&bed, &answer, StatusCode::SERVICE_UNAVAILABLE, unhelpful);
    }
    let bed = bed(&stub);
    stub.behaviour().claims = staff("sub", json!("7"));
    for algorithm in ["none", "HS256", "RS256"] {
        stub.behaviour().algorithm = algorithm;
        let answer = sign_in(&bed, &stub).await;
        refused(&bed, &answer, StatusCode::SERVICE_UNAVAILABLE, unhelpful);
    }
    stub.behaviour().algorithm = "ES256";
    // Another key that goes by the same name.
    stub.behaviour().other_keys = Some(Signer::new("first"));
    stub.behaviour().signer = Signer::new("first");
    let answer = sign_in(&bed, &stub).await;
    refused(&bed, &answer, StatusCode::SERVICE_UNAVAILABLE, unhelpful);
}

#[tokio::test]
async fn keys_may_be_rotated_and_are_not_asked_for_without_end() {
    let stub = Stub::start();
    let bed = bed(&stub);
    assert_eq!(sign_in(&bed, &stub).await.status, StatusCode::SEE_OTHER);
    stub.behaviour().signer = Signer::new("second");
    assert_eq!(sign_in(&bed, &stub).await.status, StatusCode::SEE_OTHER);
    assert_eq!(stub.asked("/keys"), 2);
    let same_name = Stub::start();
    let another = self::bed(&same_name);
    assert_eq!(sign_in(&another, &same_name).await.status, StatusCode::SEE_OTHER);
    same_name.behaviour().signer = Signer::new("first");
    assert_eq!(sign_in(&another, &same_name).await.status, StatusCode::SEE_OTHER);
    {
        let mut behaviour = stub.behaviour();
        behaviour.signer = Signer::new("not among them");
        behaviour.other_keys = Some(Signer::new("second"));
    }
    for _ in 0..3 {
        let answer = sign_in(&bed, &stub).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.body);
    }
    assert_eq!(stub.asked("/keys"), 2, "once a minute at most");
}

#[tokio::test]
async fn a_code_that_is_none_is_no_failure_of_the_provider() {
    let stub = Stub::start();
    let bed = bed(&stub);
    let (there, browser) = go(&bed).await;
    let back = stub.sign_in(&there).replace(CODE, "anything");
    let answer = browse(&bed, &back, &browser).await;
    refused(&bed, &answer, StatusCode::FORBIDDEN, "does not know this try any more");
}

#[tokio::test]
async fn an_answer_that_another_provider_gave_is_not_taken() {
    let stub = Stub::start();
    let bed = bed(&stub);
    let wrong = "this answer is not the provider&#39;s";
    stub.behaviour().discovery = json!({ "authorization_response_iss_parameter_supported": true });
    for iss in ["", "&iss=", "&iss=http%3A%2F%2Fevil.example"] {
        let (there, browser) = go(&bed).await;
        let back = format!("{}{iss}", stub.sign_in(&there));
        let answer = browse(&bed, &back, &browser).await;
        refused(&bed, &answer, StatusCode::FORBIDDEN, wrong);
    }
    assert_eq!(stub.asked("/token"), 0);
    let (there, browser) = go(&bed).await;
    let back = format!("{}&iss={}", stub.sign_in(&there), stub.issuer);
    assert_eq!(browse(&bed, &back, &browser).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn who_has_no_role_or_anothers_name_stays_outside() {
    let stub = Stub::start();
    let bed = bed(&stub);
    for (claims, why) in [
        (json!({ "preferred_username": "paula" }), "you have no role here"),
        (json!({ "preferred_username": "paula", "groups": ["root"] }), "you have no role here"),
        (json!({ "preferred_username": "Paula M.", "groups": ["staff"] }), "no name that"),
        (json!({ "groups": ["staff"] }), "no name that"),
        (json!({ "preferred_username": "EVA", "groups": ["staff"] }), "another user has your name"),
    ] {
        stub.behaviour().claims = claims;
        let answer = sign_in(&bed, &stub).await;
        refused(&bed, &answer, StatusCode::FORBIDDEN, why);
    }
}

#[tokio::test]
async fn what_a_provider_says_is_never_repeated() {
    let stub = Stub::start();
    let bed = bed(&stub);
    for words in ["error=access_denied", "error=%3Cscript%3Ecanary&error_description=canary"] {
        let (there, browser) = go(&bed).await;
        let back = stub.sign_in(&there).replace("code=canary-code", words);
        let answer = browse(&bed, &back, &browser).await;
        refused(&bed, &answer, StatusCode::FORBIDDEN, "Example Corp did not let you in");
    }
    let (there, browser) = go(&bed).await;
    let twice = format!("{}&code=canary", stub.sign_in(&there));
    let answer = browse(&bed, &twice, &browser).await;
    refused(&bed, &answer, StatusCode::BAD_REQUEST, "not how a provider");
    let long = format!("{}&iss={}", stub.sign_in(&there), "canary".repeat(1_000));
    let answer = browse(&bed, &long, &browser).await;
    refused(&bed, &answer, StatusCode::BAD_REQUEST, "not how a provider");
    assert_eq!(stub.asked("/token"), 0);
}

#[tokio::test]
async fn a_provider_that_answers_nonsense_is_of_no_help() {
    for instead in [
        (500, "canary".to_owned()),
        (302, "{}".to_owned()),
        (200, "canary".to_owned()),
        (200, format!("{{\"issuer\":\"{}\"}}", "canary".repeat(100_000))),
        (200, json!({ "issuer": "http://evil.example" }).to_string()),
    ] {
        let stub = Stub::start();
        let bed = bed(&stub);
        stub.behaviour().instead = Some(instead);
        let answer = browse(&bed, "/sign-in/provider", "").await;
        let told = "the collector&#39;s log tells why";
        refused(&bed, &answer, StatusCode::SERVICE_UNAVAILABLE, told);
        assert_eq!(stub.asked("/elsewhere"), 0, "redirects are not followed");

        // The same while a code is redeemed.
        let instead = stub.behaviour().instead.take();
        let (there, browser) = go(&bed).await;
        let back = stub.sign_in(&there);
        stub.behaviour().instead = instead;
        let answer = browse(&bed, &back, &browser).await;
        refused(&bed, &answer, StatusCode::SERVICE_UNAVAILABLE, told);
    }
}

#[tokio::test]
async fn going_to_the_provider_has_an_end_and_costs_nobody_the_tries_of_a_password() {
    let stub = Stub::start();
    let bed = bed(&stub);
    let (there, browser) = go(&bed).await;
    // One more each second: a slow machine may need some more of them.
    let mut gone = 1;
    let answer = loop {
        let answer = browse(&bed, "/sign-in/provider", "").await;
        if answer.status != StatusCode::SEE_OTHER {
            break answer;
        }
        gone += 1;
        assert!(gone < 1_000, "it has no end");
    };
    assert!(gone >= 60, "{gone}");
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(answer.header("retry-after").parse::<u64>().expect("seconds") > 0);
    let back = browse(&bed, &stub.sign_in(&there), &browser).await;
    assert_eq!(back.status, StatusCode::SEE_OTHER, "who is there may come back");
    let body = json!({ "name": "eva", "password": "wrong horse battery" });
    bed.post("/api/v1/sign-in", &body).await.problem(StatusCode::UNAUTHORIZED);
    // Somebody who is back with nothing guesses.
    for _ in 0..60 {
        let answer = browse(&bed, "/sign-in/provider/callback?state=0&code=0", "").await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            return;
        }
    }
    panic!("guesses have no end");
}

#[tokio::test]
async fn a_foreign_page_cannot_go_to_the_provider_by_a_picture() {
    let stub = Stub::start();
    let bed = bed(&stub);
    for address in ["/sign-in/provider", "/sign-in/provider/callback?state=0&code=0"] {
        for (destination, status) in [("image", 403), ("iframe", 403), ("empty", 403)] {
            let request = Request::get(address)
                .header("host", "localhost:8080")
                .header("sec-fetch-dest", destination);
            let answer = bed.send(request, Body::empty()).await;
            assert_eq!(answer.status.as_u16(), status, "{address} as {destination}");
        }
    }
    let request = Request::get("/sign-in/provider")
        .header("host", "localhost:8080")
        .header("sec-fetch-dest", "document");
    let answer = bed.send(request, Body::empty()).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn whom_the_claims_give_nothing_any_more_loses_the_session_too() {
    let stub = Stub::start();
    let bed = bed(&stub);
    let session = cookie(&sign_in(&bed, &stub).await);
    assert_eq!(browse(&bed, "/api/v1/whoami", &session).await.status, StatusCode::OK);
    stub.behaviour().claims = json!({ "preferred_username": "paula", "groups": [] });
    let answer = sign_in(&bed, &stub).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.body);
    let answer = browse(&bed, "/api/v1/whoami", &session).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn nobody_signs_in_with_a_provider_before_there_is_an_administrator_or_when_it_is_gone() {
    let stub = Stub::start();
    let fresh = Bed::full().with_provider(Some(provider(&stub)));
    assert_eq!(browse(&fresh, "/sign-in/provider", "").await.header("location"), "/set-up");

    let bed = bed(&stub);
    let session = cookie(&sign_in(&bed, &stub).await);
    assert_eq!(browse(&bed, "/api/v1/whoami", &session).await.status, StatusCode::OK);
    let other = Stub::start();
    let bed = bed.with_provider(Some(provider(&other)));
    let answer = browse(&bed, "/api/v1/whoami", &session).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "another provider");
    let bed = bed.with_provider(None);
    let answer = browse(&bed, "/api/v1/whoami", &session).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(browse(&bed, "/sign-in/provider", "").await.status, StatusCode::NOT_FOUND);
    assert!(!browse(&bed, "/sign-in", "").await.body.contains("/sign-in/provider"));
    let bed = bed.with_provider(Some(provider(&stub)));
    assert_eq!(browse(&bed, "/api/v1/whoami", &session).await.status, StatusCode::OK);
}

#[tokio::test]
async fn who_a_provider_proves_has_no_password_and_no_role_of_ours() {
    let stub = Stub::start();
    let bed = bed(&stub);
    assert_eq!(sign_in(&bed, &stub).await.status, StatusCode::SEE_OTHER);
    for password in ["", "correct horse battery"] {
        let body = json!({ "name": "paula", "password": password });
        let answer = bed.post("/api/v1/sign-in", &body).await;
        answer.problem(StatusCode::UNAUTHORIZED);
    }
    let administrator = session_of_eva(&bed);
    for (path, body) in [
        ("grant", json!({ "role": "administrator" })),
        ("password", json!({ "password": "correct horse battery" })),
    ] {
        let request = Request::post(format!("/api/v1/users/paula/{path}"))
            .header("host", "localhost:8080")
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {administrator}"));
        let answer = bed.send(request, Body::from(body.to_string())).await;
        let detail = answer.problem(StatusCode::CONFLICT);
        assert!(detail.contains("identity provider"), "{detail}");
    }
}

#[test]
fn a_provider_that_cannot_be_used_is_refused_before_anybody_needs_it() {
    let issuer = "https://login.example.org";
    let with = |change: &dyn Fn(&mut ProviderConfig)| {
        let mut config = config(issuer);
        change(&mut config);
        Provider::new(config, "https://busyhour.example.org").map(|_| ())
    };
    assert!(with(&|_| {}).is_ok());
    assert!(matches!(with(&|config| config.name.clear()), Err(InvalidProvider::Name)));
    assert!(matches!(with(&|config| config.issuer.clear()), Err(InvalidProvider::Issuer(_))));
    assert!(matches!(with(&|config| config.client_secret.clear()), Err(InvalidProvider::Text(_))));
    assert!(matches!(with(&|config| config.rules.clear()), Err(InvalidProvider::Rules(_))));
    let roots = |config: &mut ProviderConfig| config.roots = Some(b"none".to_vec());
    assert!(matches!(with(&roots), Err(InvalidProvider::Roots(_))));
    let administrator = |config: &mut ProviderConfig| {
        config.rules = vec![rule("root", Role::Administrator, None)];
    };
    assert!(matches!(with(&administrator), Err(InvalidProvider::Rules(_))));
    let told = format!("{:?}", Provider::new(config(issuer), "https://busyhour.example.org"));
    assert!(!told.contains(SECRET), "{told}");
}
