//! An identity provider that does what it is told: right, or wrong in one way.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::NOW;

pub(crate) const CLIENT: &str = "busyhour";
pub(crate) const SECRET: &str = "canary-client-secret";
pub(crate) const CODE: &str = "canary-code";

/// A key, and the name that it goes by.
pub(crate) struct Signer {
    pair: EcdsaKeyPair,
    id: &'static str,
}

impl Signer {
    pub(crate) fn new(id: &'static str) -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).expect("a key");
        Self { pair, id }
    }

    fn public(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({ "kty": "EC", "crv": "P-256", "kid": self.id, "use": "sig", "alg": "ES256",
                "x": text(&point[1..33]), "y": text(&point[33..]) })
    }

    fn sign(&self, algorithm: &str, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({ "alg": algorithm, "kid": self.id, "typ": "JWT" });
        let message = format!("{}.{}", part(&header), part(claims));
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes()).expect("signed");
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// What it does.
pub(crate) struct Behaviour {
    /// What it says of itself; the rest is added.
    pub(crate) discovery: Value,
    /// Signs tokens.
    pub(crate) signer: Signer,
    /// What is told of its keys instead of the signer's.
    pub(crate) other_keys: Option<Signer>,
    pub(crate) algorithm: &'static str,
    /// What tokens say beside what they must; null takes a claim away.
    pub(crate) claims: Value,
    /// What is answered instead of anything.
    pub(crate) instead: Option<(u16, String)>,
    /// What the browser brought: what the code will be redeemed with, and what the token says.
    challenge: String,
    nonce: String,
    redirect: String,
    /// The paths that were asked for.
    pub(crate) asked: Vec<String>,
}

pub(crate) struct Stub {
    pub(crate) issuer: String,
    address: SocketAddr,
    behaviour: Arc<Mutex<Behaviour>>,
    closing: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

impl Stub {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("a port");
        let issuer = format!("http://{address}/realm");
        let behaviour = Behaviour {
            discovery: json!({}),
            signer: Signer::new("first"),
            other_keys: None,
            algorithm: "ES256",
            claims: json!({ "preferred_username": "paula", "groups": ["staff"] }),
            instead: None,
            challenge: String::new(),
            nonce: String::new(),
            redirect: String::new(),
            asked: Vec::new(),
        };
        let behaviour = Arc::new(Mutex::new(behaviour));
        let closing = Arc::new(AtomicBool::new(false));
        let (told, ends, named) = (Arc::clone(&behaviour), Arc::clone(&closing), issuer.clone());
        let server = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                // A client that goes away is no matter.
                let _ = stream.and_then(|stream| serve(stream, &named, &told));
            }
        });
        Self { issuer, address, behaviour, closing, server: Some(server) }
    }

    pub(crate) fn behaviour(&self) -> MutexGuard<'_, Behaviour> {
        self.behaviour.lock().expect("nobody panicked")
    }

    /// Somebody signs in at the address that a browser was sent to: what it comes back with.
    pub(crate) fn sign_in(&self, address: &str) -> String {
        let (at, query) = address.split_once('?').expect("a query");
        assert_eq!(at, format!("{}/authorize", self.issuer));
        let value = |name: &str| parameter(query, name);
        for (name, expected) in [
            ("response_type", "code"),
            ("client_id", CLIENT),
            ("scope", "openid groups"),
            ("code_challenge_method", "S256"),
        ] {
            assert_eq!(value(name), expected, "{name}");
        }
        let mut behaviour = self.behaviour();
        behaviour.challenge = value("code_challenge");
        behaviour.nonce = value("nonce");
        behaviour.redirect = value("redirect_uri");
        let (path, state) = (behaviour.redirect.clone(), value("state"));
        let path = path.strip_prefix("http://localhost:8080").expect("back to the page").to_owned();
        format!("{path}?state={state}&code={CODE}&session_state=ignored")
    }

    /// How often a path was asked for.
    pub(crate) fn asked(&self, path: &str) -> usize {
        self.behaviour().asked.iter().filter(|asked| asked.ends_with(path)).count()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        // Wakes the server up, so that it sees that it is over.
        let _ = TcpStream::connect(self.address);
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
    }
}

/// A parameter of a query, as it was meant.
pub(crate) fn parameter(query: &str, name: &str) -> String {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs.into_iter().find(|(named, _)| *named == name).map(|(_, value)| value);
    let mut decoded = Vec::new();
    let mut bytes = value.unwrap_or_else(|| panic!("no {name} in {query}")).bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let digits = [bytes.next().expect("a digit"), bytes.next().expect("a digit")];
        let digits = std::str::from_utf8(&digits).expect("digits").to_owned();
        decoded.push(u8::from_str_radix(&digits, 16).expect("digits"));
    }
    String::from_utf8(decoded).expect("a text")
}

fn serve(mut stream: TcpStream, issuer: &str, behaviour: &Mutex<Behaviour>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut first, mut authorization, mut bytes) = (String::new(), String::new(), 0);
    reader.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => value.trim().clone_into(&mut authorization),
            "content-length" => bytes = value.trim().parse().unwrap_or(0),
            _ => {}
        }
    }
    let mut body = vec![0; bytes];
    reader.read_exact(&mut body)?;
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let form = String::from_utf8_lossy(&body).into_owned();
    let (status, answer) = {
        let mut behaviour = behaviour.lock().expect("nobody panicked");
        behaviour.asked.push(path.clone());
        answer(&behaviour, issuer, &path, (&authorization, &form))
    };
    write!(
        stream,
        "HTTP/1.1 {status} Told\r\nContent-Type: application/json\r\nLocation: /elsewhere\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{answer}",
        answer.len()
    )
}

fn answer(
    behaviour: &Behaviour,
    issuer: &str,
    path: &str,
    (authorization, form): (&str, &str),
) -> (u16, String) {
    if let Some(instead) = &behaviour.instead {
        return instead.clone();
    }
    match path {
        "/realm/.well-known/openid-configuration" => {
            let mut told = json!({
                "issuer": issuer,
                "authorization_endpoint": format!("{issuer}/authorize"),
                "token_endpoint": format!("{issuer}/token"),
                "jwks_uri": format!("{issuer}/keys"),
            });
            merge(&mut told, &behaviour.discovery);
            (200, told.to_string())
        }
        "/realm/keys" => {
            let signer = behaviour.other_keys.as_ref().unwrap_or(&behaviour.signer);
            (200, json!({ "keys": [signer.public()] }).to_string())
        }
        "/realm/token" => {
            let basic = STANDARD.encode(format!("{CLIENT}:{SECRET}"));
            let challenge = Sha256::digest(parameter(form, "code_verifier"));
            let is_right = authorization == format!("Basic {basic}")
                && URL_SAFE_NO_PAD.encode(challenge) == behaviour.challenge
                && parameter(form, "grant_type") == "authorization_code"
                && parameter(form, "redirect_uri") == behaviour.redirect
                && parameter(form, "code") == CODE;
            if !is_right {
                return (400, json!({ "error": "invalid_grant" }).to_string());
            }
            let now_s = NOW.0 / 1_000_000;
            let mut claims = json!({
                "iss": issuer, "aud": CLIENT, "sub": "7", "nonce": behaviour.nonce,
                "iat": now_s, "exp": now_s + 300,
            });
            merge(&mut claims, &behaviour.claims);
            let token = behaviour.signer.sign(behaviour.algorithm, &claims);
            let told = json!({ "access_token": "canary-access", "token_type": "Bearer",
                               "id_token": token });
            (200, told.to_string())
        }
        _ => (404, "{}".to_owned()),
    }
}

fn merge(into: &mut Value, from: &Value) {
    let (Some(into), Some(from)) = (into.as_object_mut(), from.as_object()) else { return };
    for (name, value) in from {
        if value.is_null() {
            into.remove(name);
        } else {
            into.insert(name.clone(), value.clone());
        }
    }
}
