//! Signing in: the first administrator, sessions, forms, tries that run out.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::json;

use crate::support::{Answer, Bed, CODE};

const EVA: &str = "correct horse battery";

pub(crate) fn form(address: &str) -> axum::http::request::Builder {
    Request::post(address)
        .header("host", "localhost:8080")
        .header("origin", "http://localhost:8080")
        .header("content-type", "application/x-www-form-urlencoded")
}

async fn submit(bed: &Bed, address: &str, fields: &str) -> Answer {
    bed.send(form(address), Body::from(fields.to_owned())).await
}

/// Makes eva the first administrator and gives her cookie, without its attributes.
pub(crate) async fn set_up(bed: &Bed) -> String {
    let fields = format!("code={CODE}&name=eva&password={}", EVA.replace(' ', "+"));
    let answer = submit(bed, "/set-up", &fields).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    cookie(&answer)
}

fn cookie(answer: &Answer) -> String {
    answer.header("set-cookie").split(';').next().expect("a cookie").to_owned()
}

pub(crate) async fn get_with(bed: &Bed, address: &str, cookie: &str) -> Answer {
    let request = Request::get(address).header("host", "localhost:8080").header("cookie", cookie);
    bed.send(request, Body::empty()).await
}

/// The token that the page's forms have in them.
pub(crate) async fn form_token(bed: &Bed, cookie: &str) -> String {
    let page = get_with(bed, "/account", cookie).await.body;
    let (_, rest) = page.split_once("name=\"token\" value=\"").expect("a form");
    rest.split_once('"').expect("a value").0.to_owned()
}

/// What somebody else may send in place of that: nothing, what is of another session of eva, and zeros of
/// the same length.
pub(crate) async fn foreign_tokens(bed: &Bed) -> Vec<String> {
    let fields = format!("name=eva&password={}", EVA.replace(' ', "+"));
    let another = submit(bed, "/sign-in", &fields).await;
    assert_eq!(another.status, StatusCode::SEE_OTHER, "{}", another.body);
    let of_another = form_token(bed, &cookie(&another)).await;
    let zeros = "0".repeat(of_another.len());
    vec![String::new(), of_another, zeros]
}

#[tokio::test]
async fn the_first_administrator_is_made_with_the_code_and_once() {
    let bed = Bed::full();
    assert_eq!(bed.get("/sign-in").await.header("location"), "/set-up");
    assert!(bed.get("/set-up").await.body.contains("name=\"code\""));
    for wrong in ["", "AAAAA-AAAAA-AAAAA-AAAAA", &CODE[1..]] {
        let fields = format!("code={wrong}&name=eva&password={}", EVA.replace(' ', "+"));
        let answer = submit(&bed, "/set-up", &fields).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(answer.body.contains("not the code") && !answer.body.contains("horse"));
    }
    let short = submit(&bed, "/set-up", &format!("code={CODE}&name=eva&password=short")).await;
    assert!(short.body.contains("12 characters"), "{}", short.body);
    assert!(bed.accounts.users().expect("users").is_empty());
    bed.get("/api/v1/buildings").await.json();

    let cookie = set_up(&bed).await;
    assert_eq!(get_with(&bed, "/api/v1/buildings", &cookie).await.status, StatusCode::OK);
    bed.get("/api/v1/buildings").await.problem(StatusCode::UNAUTHORIZED);
    assert_eq!(bed.get("/set-up").await.status, StatusCode::NOT_FOUND);
    let again = format!("code={CODE}&name=max&password={}", EVA.replace(' ', "+"));
    assert_eq!(submit(&bed, "/set-up", &again).await.status, StatusCode::NOT_FOUND);
    let json = json!({ "code": CODE, "name": "max", "password": EVA });
    bed.post("/api/v1/set-up", &json).await.problem(StatusCode::NOT_FOUND);
    assert_eq!(bed.accounts.users().expect("users").len(), 1);
}

#[tokio::test]
async fn until_then_nobody_makes_accounts_without_the_code() {
    let bed = Bed::full();
    let user = json!({ "name": "max", "password": EVA, "role": "administrator" });
    let detail = bed.post("/api/v1/users", &user).await.problem(StatusCode::FORBIDDEN);
    assert!(detail.contains("first administrator"), "{detail}");
    let token = json!({ "name": "max", "role": "administrator" });
    bed.post("/api/v1/api-tokens", &token).await.problem(StatusCode::FORBIDDEN);
    assert!(bed.accounts.users().expect("users").is_empty());
}

#[tokio::test]
async fn a_person_without_a_session_is_brought_to_sign_in_and_back() {
    let bed = Bed::full();
    set_up(&bed).await;
    let request = Request::get("/buildings/7?date=2026-03-02")
        .header("host", "localhost:8080")
        .header("accept", "text/html,*/*");
    let answer = bed.send(request, Body::empty()).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let to = "/sign-in?back=/buildings/7%3Fdate%3D2026-03-02";
    assert_eq!(answer.header("location"), to);
    let page = bed.get(to).await;
    assert!(page.body.contains("value=\"/buildings/7?date=2026-03-02\""), "{}", page.body);
    let fields = format!("name=eva&password={}&back=/incidents/1", EVA.replace(' ', "+"));
    let answer = submit(&bed, "/sign-in", &fields).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    assert_eq!(answer.header("location"), "/incidents/1");
    let elsewhere = fields.replace("/incidents/1", "//evil.example/");
    assert_eq!(submit(&bed, "/sign-in", &elsewhere).await.header("location"), "/");
}

#[tokio::test]
async fn the_cookie_is_out_of_reach_of_scripts_and_of_other_sites() {
    let plain = Bed::empty();
    let fields = format!("code={CODE}&name=eva&password={}", EVA.replace(' ', "+"));
    let told = submit(&plain, "/set-up", &fields).await.header("set-cookie").to_owned();
    assert!(told.starts_with("busyhour-loopback=bhs_"), "{told}");
    assert!(told.ends_with("; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax"), "{told}");
    let tls = Bed::empty().behind_tls();
    let answer = submit(&tls, "/set-up", &fields).await;
    let told = answer.header("set-cookie");
    assert!(told.starts_with("__Host-busyhour=bhs_"), "{told}");
    assert!(told.ends_with("; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax; Secure"), "{told}");
    assert!(answer.header("strict-transport-security").starts_with("max-age="));
    let wrong = cookie(&answer).replace("__Host-busyhour", "busyhour-loopback");
    get_with(&tls, "/api/v1/whoami", &wrong).await.problem(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn signing_out_ends_the_session_itself() {
    let bed = Bed::full();
    let cookie = set_up(&bed).await;
    let token = form_token(&bed, &cookie).await;
    let out = |token: String| {
        let request = form("/sign-out").header("cookie", cookie.clone());
        bed.send(request, Body::from(format!("token={token}")))
    };
    for foreign in foreign_tokens(&bed).await {
        assert_eq!(out(foreign).await.status, StatusCode::FORBIDDEN, "another's form");
    }
    assert_eq!(get_with(&bed, "/api/v1/whoami", &cookie).await.status, StatusCode::OK);
    let answer = out(token).await;
    assert_eq!(answer.header("location"), "/sign-in");
    assert!(answer.header("set-cookie").contains("Max-Age=0"));
    get_with(&bed, "/api/v1/whoami", &cookie).await.problem(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_session_ends_after_two_hours_without_use_and_after_twelve_whatever_happens() {
    let bed = Bed::empty();
    let cookie = set_up(&bed).await;
    let who = || get_with(&bed, "/api/v1/whoami", &cookie);
    let hour = Duration::from_secs(3_600);
    bed.wait(2 * hour - Duration::from_secs(1));
    assert_eq!(who().await.status, StatusCode::OK);
    for _ in 0..5 {
        bed.wait(2 * hour - Duration::from_secs(60));
        assert_eq!(who().await.status, StatusCode::OK);
    }
    bed.wait(Duration::from_secs(600));
    who().await.problem(StatusCode::UNAUTHORIZED);

    let bed = Bed::empty();
    let cookie = set_up(&bed).await;
    bed.wait(2 * hour + Duration::from_secs(1));
    get_with(&bed, "/api/v1/whoami", &cookie).await.problem(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_write_with_a_cookie_needs_the_sessions_token_and_must_not_come_from_elsewhere() {
    let bed = Bed::full();
    let cookie = set_up(&bed).await;
    let token = form_token(&bed, &cookie).await;
    let post = |headers: Vec<(&'static str, String)>| {
        let mut request = Request::post("/api/v1/users")
            .header("host", "localhost:8080")
            .header("content-type", "application/json")
            .header("cookie", cookie.clone());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        bed.send(request, Body::from("{}"))
    };
    let own = ("x-busyhour-token", token.clone());
    for foreign in foreign_tokens(&bed).await {
        let answer = post(vec![("x-busyhour-token", foreign)]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
    }
    for headers in [
        vec![],
        vec![own.clone(), ("origin", "https://evil.example".to_owned())],
        vec![own.clone(), ("origin", "null".to_owned())],
        vec![own.clone(), ("origin", "http://localhost:9090".to_owned())],
        vec![own.clone(), ("sec-fetch-site", "cross-site".to_owned())],
        vec![own.clone(), ("sec-fetch-site", "same-site".to_owned())],
    ] {
        let told = format!("{headers:?}");
        let answer = post(headers).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{told}");
    }
    let origin = ("origin", "http://localhost:8080".to_owned());
    let site = ("sec-fetch-site", "same-origin".to_owned());
    post(vec![own, origin, site]).await.problem(StatusCode::UNPROCESSABLE_ENTITY);
    let foreign = form("/sign-in").header("sec-fetch-site", "cross-site");
    bed.send(foreign, Body::from("name=eva&password=x")).await.problem(StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_look_the_same_and_tries_run_out() {
    let bed = Bed::full();
    set_up(&bed).await;
    let sign_in = |name: &str, password: &str| {
        let body = json!({ "name": name, "password": password });
        let bed = &bed;
        async move { bed.post("/api/v1/sign-in", &body).await }
    };
    let unknown = sign_in("nobody", EVA).await;
    let wrong = sign_in("eva", "wrong horse battery").await;
    assert_eq!(unknown.body, wrong.body);
    wrong.problem(StatusCode::UNAUTHORIZED);
    for _ in 0..9 {
        sign_in("eva", "wrong horse battery").await.problem(StatusCode::UNAUTHORIZED);
    }
    let limited = sign_in("eva", EVA).await;
    let detail = limited.problem(StatusCode::TOO_MANY_REQUESTS);
    assert!(detail.contains("wait"), "{detail}");
    assert!(limited.header("retry-after").parse::<u64>().expect("seconds") > 0);
    let figures = bed.accounts.users().expect("users");
    assert_eq!(figures[0].signed_in, Some(crate::support::NOW), "that of the set-up");
}

#[tokio::test]
async fn a_password_is_changed_by_who_knows_it_and_other_sessions_end() {
    let bed = Bed::full();
    let cookie = set_up(&bed).await;
    let body = json!({ "name": "eva", "password": EVA });
    let other = bed.post("/api/v1/sign-in", &body).await.json();
    let other = other["token"].as_str().expect("a token").to_owned();
    let with = |token: &str| {
        let request = Request::get("/api/v1/whoami")
            .header("host", "localhost:8080")
            .header("authorization", format!("Bearer {token}"));
        bed.send(request, Body::empty())
    };
    assert_eq!(with(&other).await.json()["name"], "eva");
    let token = form_token(&bed, &cookie).await;
    let change = |old: &str, new: &str| {
        let fields = format!("token={token}&password={old}&new_password={new}").replace(' ', "+");
        let request = form("/account/password").header("cookie", cookie.clone());
        bed.send(request, Body::from(fields))
    };
    let wrong = change("wrong horse battery", "another horse battery").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!wrong.body.contains("another horse"));
    assert_eq!(with(&other).await.status, StatusCode::OK);
    let changed = change(EVA, "another horse battery").await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.body);
    with(&other).await.problem(StatusCode::UNAUTHORIZED);
    assert_eq!(get_with(&bed, "/api/v1/whoami", &cookie).await.status, StatusCode::OK);
    bed.post("/api/v1/sign-in", &body).await.problem(StatusCode::UNAUTHORIZED);
    let body = json!({ "name": "eva", "password": "another horse battery" });
    assert_eq!(bed.post("/api/v1/sign-in", &body).await.status, StatusCode::OK);
}

#[tokio::test]
async fn whoever_comes_with_a_credential_is_not_let_in_as_somebody_else() {
    let bed = Bed::full();
    for value in ["Bearer bh_nonsense", "Bearer bhs_nonsense", "Basic ZXZhOng=", "Bearer", "x"] {
        let request = Request::get("/api/v1/whoami")
            .header("host", "localhost:8080")
            .header("authorization", value);
        let answer = bed.send(request, Body::empty()).await;
        answer.problem(StatusCode::UNAUTHORIZED);
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    assert_eq!(bed.get("/api/v1/whoami").await.json()["kind"], "local-operator");
}
