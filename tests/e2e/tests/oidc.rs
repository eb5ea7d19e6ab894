//! Signing in with a real identity provider (Glewlwyd), as a browser does it; and what helps who cannot
//! sign in at all.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use e2e::{Collector, Place, Process, have, program, wait_for, write_secret};
use serde_json::{Value, json};
use tempfile::TempDir;

const CLIENT_SECRET: &str = "canary-of-the-client";
/// A part of `busyhour:canary-of-the-client` in base64.
const IN_BASE64: &str = "YnVzeWhvdXI6Y2FuYXJ5LW9mLXRoZS1jbGllbnQ";
const PAULA: &str = "canary-of-paula";
const EVA: &str = "correct horse canary";
const EVA_LATER: &str = "another horse canary";
/// The database that the package brings along, without compression.
const TABLES: &str = "gunzip --stdout /usr/share/doc/glewlwyd/database/init.sqlite3.sql.gz";
/// A property of users that the database has no place for by itself.
const GROUPS: &str = r#"{"groups":{"multiple":true,"read":true,"write":true},"#;

/// What somebody answered.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut found = lines.filter(|(named, _)| named.eq_ignore_ascii_case(name));
        found.next().unwrap_or_else(|| panic!("no {name}: {} {}", self.head, self.body)).1
    }

    /// The cookie that it sets.
    fn cookie(&self) -> String {
        self.header("set-cookie").split(';').next().unwrap().to_owned()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{} {}", self.head, self.body))
    }
}

/// Asks a server at `http://HOST:PORT`; a body is JSON.
fn ask(method: &str, base: &str, path: &str, cookie: &str, body: Option<&Value>) -> Answer {
    let address = base.strip_prefix("http://").unwrap();
    let body = body.map(Value::to_string).unwrap_or_default();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nCookie: {cookie}\r\n\
         Accept: text/html\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

fn done(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The identity provider.
struct Provider {
    base: String,
    administrator: String,
    _process: Process,
}

impl Provider {
    /// Starts it with RSA keys of its own; `None`, said loudly, where it is not installed.
    fn start(folder: &Path) -> Option<Self> {
        if !["glewlwyd", "sqlite3", "openssl"].into_iter().all(have) {
            return None;
        }
        let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let sql = Command::new("sh").args(["-c", TABLES]).output().unwrap();
        done(&sql);
        let sql = String::from_utf8(sql.stdout).unwrap();
        let sql = sql.replace(r#"{"picture""#, &format!(r#"{GROUPS}"picture""#));
        let mut tables = Command::new("sqlite3");
        let mut tables = tables.arg(at("provider.db")).stdin(Stdio::piped()).spawn().unwrap();
        tables.stdin.take().unwrap().write_all(sql.as_bytes()).unwrap();
        assert!(tables.wait().unwrap().success());

        // It takes no port that the system picks: one that was free just now, or else another.
        let (base, process) = wait_for("the identity provider", || {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let base = format!("http://127.0.0.1:{port}");
            fs::write(at("provider.conf"), configuration(&base, port, &at("provider.db"))).unwrap();
            let mut command = Command::new("glewlwyd");
            command.args(["-c", &at("provider.conf")]);
            let mut process = Process::start(&mut command, folder.join("provider.log"));
            wait_for("it to listen, or to end", || {
                let listens = TcpStream::connect(("127.0.0.1", port)).is_ok();
                (listens || !process.runs()).then_some(())
            });
            process.runs().then_some((base, process))
        });
        let sign_in = json!({ "username": "admin", "password": "password" });
        let administrator = ask("POST", &base, "/api/auth/", "", Some(&sign_in)).cookie();
        let provider = Self { base, administrator, _process: process };
        let (key, public) = (at("rsa.key"), at("rsa.pem"));
        done(&Command::new("openssl").args(["genrsa", "-out", &key, "2048"]).output().unwrap());
        let derive = ["rsa", "-in", &key, "-pubout", "-out", &public];
        done(&Command::new("openssl").args(derive).output().unwrap());
        provider.add("mod/plugin", &provider.protocol(&key, &public));
        Some(provider)
    }

    fn issuer(&self) -> String {
        format!("{}/api/oidc", self.base)
    }

    fn add(&self, what: &str, body: &Value) {
        let path = format!("/api/{what}/");
        let answer = ask("POST", &self.base, &path, &self.administrator, Some(body));
        assert_eq!(answer.status, 200, "{what}: {}", answer.body);
    }

    fn protocol(&self, key: &str, public: &str) -> Value {
        let claim = |name: &str, property: &str| json!({ "name": name, "user-property": property, "type": "string", "mandatory": true });
        json!({ "module": "oidc", "name": "oidc", "display_name": "OIDC", "parameters": {
            "iss": self.issuer(), "jwt-type": "rsa", "jwt-key-size": "256",
            "key": fs::read_to_string(key).unwrap(), "cert": fs::read_to_string(public).unwrap(),
            "access-token-duration": 3600, "refresh-token-duration": 3600, "code-duration": 600,
            "refresh-token-rolling": true, "allow-non-oidc": false,
            "auth-type-code-enabled": true, "auth-type-id-token-enabled": true,
            "auth-type-token-enabled": false, "auth-type-password-enabled": false,
            "auth-type-client-enabled": false, "auth-type-refresh-enabled": false,
            "auth-type-none-enabled": false, "subject-type": "public", "pkce-allowed": true,
            "pkce-required": true, "pkce-method-plain-allowed": false, "jwks-show": true,
            "name-claim": "no", "email-claim": "no", "scope-claim": "no",
            "claims": [claim("preferred_username", "username"), claim("groups", "groups")],
        } })
    }

    /// Lets a collector ask whose users come back to its page.
    fn let_in(&self, collector: &Collector) {
        let redirect = format!("{}/sign-in/provider/callback", collector.api);
        self.add(
            "client",
            &json!({ "client_id": "busyhour", "name": "Busyhour", "confidential": true,
                     "password": CLIENT_SECRET, "enabled": true, "redirect_uri": [redirect],
                     "authorization_type": ["code"], "scope": ["openid"],
                     "token_endpoint_auth_method": ["client_secret_basic"] }),
        );
    }

    /// Makes a user of these groups.
    fn user(&self, name: &str, groups: &[&str]) {
        self.add(
            "user",
            &json!({ "username": name, "password": PAULA, "name": name, "enabled": true,
                     "scope": ["openid", "g_profile"], "groups": groups }),
        );
    }

    /// Signs in here at the address that a browser was sent to: where it is sent back to.
    fn sign_in(&self, name: &str, address: &str) -> String {
        let password = json!({ "username": name, "password": PAULA });
        let cookie = ask("POST", &self.base, "/api/auth/", "", Some(&password)).cookie();
        let scope = json!({ "scope": "openid" });
        let granted = ask("PUT", &self.base, "/api/auth/grant/busyhour", &cookie, Some(&scope));
        assert_eq!(granted.status, 200, "{}", granted.body);
        let path = address.strip_prefix(&self.base).expect("to the provider");
        let sent = ask("GET", &self.base, &format!("{path}&g_continue"), &cookie, None);
        assert_eq!(sent.status, 302, "{}", sent.body);
        sent.header("location").to_owned()
    }
}

fn configuration(base: &str, port: u16, database: &str) -> String {
    let modules = ["user", "user_middleware", "client", "plugin"]
        .map(|kind| format!("{kind}_module_path=\"/usr/lib/glewlwyd/{kind}\"\n"));
    format!(
        "port={port}\nbind_address=\"127.0.0.1\"\nexternal_url=\"{base}\"\n\
         login_url=\"login.html\"\napi_prefix=\"api\"\nlog_mode=\"console\"\nlog_level=\"INFO\"\n\
         cookie_secure=0\nsession_key=\"PROVIDER\"\nadmin_scope=\"g_admin\"\n\
         profile_scope=\"g_profile\"\n{}\
         user_auth_scheme_module_path=\"/usr/lib/glewlwyd/scheme\"\nhash_algorithm=\"SHA512\"\n\
         database = {{ type = \"sqlite3\" path = \"{database}\" }};\n",
        modules.concat()
    )
}

/// A collector with an administrator, which this provider's users may sign in at; it logs all it can.
fn start_collector(folder: &Path, provider: &Provider) -> Collector {
    let secret = folder.join("client-secret");
    write_secret(&secret, CLIENT_SECRET);
    let oidc = format!(
        "[api.oidc]\nname = \"Glewlwyd\"\nissuer = {:?}\nclient_id = \"busyhour\"\n\
         client_secret_file = {secret:?}\n[[api.oidc.rule]]\nclaim = \"groups\"\n\
         value = \"noc\"\nrole = \"operator\"\n[log]\nlevel = \"trace\"\n",
        provider.issuer()
    );
    let mut collector = Collector::start(&Place::default(), &folder.join("collector"), &oidc);
    collector.pin_ports();
    let log = fs::read_to_string(collector.folder().join("collector.log")).unwrap();
    let code = log.lines().find_map(|line| line.split_once("the code is ")).unwrap().1.trim();
    let first = json!({ "code": code, "name": "eva", "password": EVA });
    let answer = ask("POST", &collector.api, "/api/v1/set-up", "", Some(&first));
    assert_eq!(answer.status, 200, "{}", answer.body);
    // What was printed for whoever starts it is not the log's.
    assert!(collector.stop());
    fs::write(collector.folder().join("collector.log"), "").unwrap();
    collector.start_again();
    collector
}

#[test]
fn a_real_providers_user_signs_in_with_a_browser_and_no_secret_is_in_the_log() {
    let folder = TempDir::new().unwrap();
    let Some(provider) = Provider::start(folder.path()) else { return };
    let collector = start_collector(folder.path(), &provider);
    provider.let_in(&collector);
    provider.user("paula", &["staff", "noc"]);
    provider.user("otto", &["staff"]);
    let browse = |path: &str, cookie: &str| ask("GET", &collector.api, path, cookie, None);
    let form = browse("/sign-in?back=/account", "");
    assert!(form.body.contains("Sign in with Glewlwyd"), "{}", form.body);

    let go = browse("/sign-in/provider?back=/account", "");
    assert_eq!(go.status, 303, "{}", go.body);
    let back = provider.sign_in("paula", go.header("location"));
    let back = back.strip_prefix(&collector.api).expect("back to the page");
    let entered = browse(back, &go.cookie());
    assert_eq!((entered.status, entered.header("location")), (303, "/account"));
    let session = entered.cookie();
    let me = browse("/api/v1/whoami", &session).json();
    assert_eq!((&me["name"], &me["role"]), (&"paula".into(), &"operator".into()));
    assert!(browse("/account", &session).body.contains("An identity provider proves"));
    let again = browse(back, &go.cookie());
    assert_eq!(again.status, 403, "a second time: {}", again.body);

    let go = browse("/sign-in/provider", "");
    let go_cookie = go.cookie();
    let back = provider.sign_in("otto", go.header("location"));
    let refused = browse(back.strip_prefix(&collector.api).unwrap(), &go.cookie());
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("you have no role here"), "{}", refused.body);

    let log = fs::read_to_string(collector.folder().join("collector.log")).unwrap();
    assert!(log.contains("a try to sign in was refused"), "the log is seen here");
    let code = back.split_once("code=").unwrap().1.split('&').next().unwrap();
    let session = session.split_once('=').unwrap().1;
    let (_, browser) = go_cookie.split_once('=').unwrap();
    // Tokens are JSON in base64url, and begin so; the client's secret goes out in base64, too.
    for secret in [CLIENT_SECRET, IN_BASE64, PAULA, EVA, code, session, browser, "eyJ"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[test]
fn who_has_the_machine_gets_back_in_when_an_administrators_password_is_lost() {
    let folder = TempDir::new().unwrap();
    let mut collector = Collector::start(&Place::default(), folder.path(), "");
    let log = fs::read_to_string(folder.path().join("collector.log")).unwrap();
    let code = log.lines().find_map(|line| line.split_once("the code is ")).unwrap().1.trim();
    let first = json!({ "code": code, "name": "eva", "password": EVA });
    let answer = ask("POST", &collector.api, "/api/v1/set-up", "", Some(&first));
    assert_eq!(answer.status, 200, "{}", answer.body);
    let before = answer.json()["token"].as_str().unwrap().to_owned();
    assert!(collector.stop());
    let mut reset = Command::new(program("busyhour-collector"))
        .args(["admin", "reset", "eva", "--config"])
        .arg(folder.path().join("collector.toml"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    reset.stdin.take().unwrap().write_all(format!("{EVA_LATER}\n").as_bytes()).unwrap();
    assert!(reset.wait().unwrap().success());
    collector.start_again();
    let sign_in = |password: &str| {
        let body = json!({ "name": "eva", "password": password });
        ask("POST", &collector.api, "/api/v1/sign-in", "", Some(&body)).status
    };
    assert_eq!((sign_in(EVA), sign_in(EVA_LATER)), (401, 200));
    let session = format!("busyhour-loopback={before}");
    assert_eq!(ask("GET", &collector.api, "/api/v1/whoami", &session, None).status, 401);
}
