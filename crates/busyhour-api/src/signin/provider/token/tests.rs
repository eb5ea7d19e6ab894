use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::json;

use super::*;

const NOW_S: i64 = 1_772_812_800;
const EXPECTED: Expected<'_> = Expected {
    issuer: "https://login.example.org",
    client_id: "busyhour",
    nonce: "0123456789abcdef",
    now_s: NOW_S,
};

/// RFC 7515, appendix A.2: key and token.
const RSA_KEYS: &str = r#"{"keys":[{"kty":"RSA","kid":"a","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}]}"#;
const RSA_TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
/// The same of appendix A.3.
const EC_KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
const EC_TOKEN: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

struct Signer {
    pair: EcdsaKeyPair,
    id: &'static str,
}

impl Signer {
    fn new(id: &'static str) -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self { pair: EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap(), id }
    }

    fn public(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let half = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({ "kty": "EC", "crv": "P-256", "kid": self.id, "use": "sig", "alg": "ES256",
                "x": half(&point[1..33]), "y": half(&point[33..]) })
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn keys(of: &[&Signer]) -> Vec<Key> {
    let keys: Vec<Value> = of.iter().map(|signer| signer.public()).collect();
    parse_keys(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn claims() -> Value {
    json!({ "iss": EXPECTED.issuer, "aud": "busyhour", "sub": "7", "nonce": EXPECTED.nonce,
            "iat": NOW_S, "exp": NOW_S + 300, "preferred_username": "paula" })
}

#[test]
fn tokens_of_the_standard_are_verified_and_no_bit_of_them_may_change() {
    for (keys, token) in [(RSA_KEYS, RSA_TOKEN), (EC_KEYS, EC_TOKEN)] {
        let keys = parse_keys(keys.as_bytes()).unwrap();
        let payload = signed_payload(token, &keys).unwrap();
        assert!(payload.starts_with(b"{\"iss\":\"joe\""));
        let (message, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        for at in 0..signature.len() {
            let mut other = signature.clone();
            other[at] ^= 1;
            let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(other));
            assert_eq!(signed_payload(&token, &keys), Err(Refused::Signature));
        }
        let (header, claims) = message.split_once('.').unwrap();
        let other = token.replace(claims, &URL_SAFE_NO_PAD.encode("{\"iss\":\"eve\"}"));
        assert_eq!(signed_payload(&other, &keys), Err(Refused::Signature));
        assert!(signed_payload(&token.replace(header, "e30"), &keys).is_err());
        for end in 0..token.len() {
            assert!(signed_payload(&token[..end], &keys).is_err(), "{end}");
        }
    }
}

#[test]
fn a_token_is_taken_when_all_of_it_is_right() {
    let signer = Signer::new("a");
    let token = signer.sign(&json!({ "alg": "ES256", "kid": "a" }), &claims());
    let told = check(&token, &keys(&[&signer]), &EXPECTED).unwrap();
    assert_eq!(told.subject, "7");
    assert_eq!(told.all["preferred_username"], "paula");
}

#[test]
fn a_token_with_one_thing_wrong_is_refused_for_that() {
    let signer = Signer::new("a");
    let keys = keys(&[&signer]);
    let wrong = [
        ("iss", json!("https://login.example.org/"), Refused::Issuer),
        ("iss", json!(7), Refused::Issuer),
        ("iss", Value::Null, Refused::Issuer),
        ("aud", json!("other"), Refused::Audience),
        ("aud", json!(["busyhour", "other"]), Refused::Audience),
        ("aud", json!([]), Refused::Audience),
        ("aud", Value::Null, Refused::Audience),
        ("azp", json!("other"), Refused::Audience),
        ("exp", json!(NOW_S - 60), Refused::Expired),
        ("exp", json!("soon"), Refused::Expired),
        ("exp", Value::Null, Refused::Expired),
        ("iat", json!(NOW_S + 61), Refused::IssuedAt),
        ("iat", json!(NOW_S - 661), Refused::IssuedAt),
        ("iat", Value::Null, Refused::IssuedAt),
        ("nbf", json!(NOW_S + 61), Refused::IssuedAt),
        ("nbf", json!("now"), Refused::IssuedAt),
        ("nonce", json!("0123456789abcdeF"), Refused::Nonce),
        ("nonce", json!(""), Refused::Nonce),
        ("nonce", Value::Null, Refused::Nonce),
        ("sub", json!(""), Refused::Subject),
        ("sub", json!("x".repeat(256)), Refused::Subject),
        ("sub", json!(7), Refused::Subject),
    ];
    for (name, value, refused) in wrong {
        let mut claims = claims();
        claims[name] = value.clone();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        }
        let token = signer.sign(&json!({ "alg": "ES256", "kid": "a" }), &claims);
        assert_eq!(check(&token, &keys, &EXPECTED), Err(refused), "{name} = {value}");
    }
    for (name, value) in [
        ("aud", json!(["busyhour"])),
        ("azp", json!("busyhour")),
        ("exp", json!(NOW_S - 59)),
        ("exp", json!(1_772_812_900.5)),
        ("iat", json!(NOW_S + 60)),
        ("nbf", json!(NOW_S)),
    ] {
        let mut claims = claims();
        claims[name] = value.clone();
        let token = signer.sign(&json!({ "alg": "ES256", "kid": "a" }), &claims);
        assert!(check(&token, &keys, &EXPECTED).is_ok(), "{name} = {value}");
    }
}

#[test]
fn the_algorithm_is_never_the_tokens_choice() {
    let signer = Signer::new("a");
    let known = keys(&[&signer]);
    for algorithm in ["none", "None", "NONE", "HS256", "HS512", "RS512", "PS256", "ES384", ""] {
        let token = signer.sign(&json!({ "alg": algorithm, "kid": "a" }), &claims());
        assert_eq!(check(&token, &known, &EXPECTED), Err(Refused::Algorithm), "{algorithm}");
        let bare = format!("{}.", token.rsplit_once('.').unwrap().0);
        assert_eq!(check(&bare, &known, &EXPECTED), Err(Refused::Algorithm), "{algorithm}");
    }
    // A key of one kind checks no signature of another.
    let token = signer.sign(&json!({ "alg": "RS256", "kid": "a" }), &claims());
    assert_eq!(check(&token, &known, &EXPECTED), Err(Refused::Key));
    let header = json!({ "alg": "ES256", "kid": "a", "crit": ["exp"] });
    assert_eq!(check(&signer.sign(&header, &claims()), &known, &EXPECTED), Err(Refused::Shape));
    // A key that the token brings along is nobody's.
    let other = Signer::new("a");
    let header = json!({ "alg": "ES256", "kid": "a", "jwk": other.public() });
    let told = check(&other.sign(&header, &claims()), &known, &EXPECTED);
    assert_eq!(told, Err(Refused::Signature));
}

#[test]
fn the_key_is_the_one_that_is_named_and_unnamed_only_where_there_is_no_choice() {
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    let both = keys(&[&old, &new]);
    let named = |id: &str| json!({ "alg": "ES256", "kid": id });
    assert!(check(&new.sign(&named("new"), &claims()), &both, &EXPECTED).is_ok());
    let told = check(&new.sign(&named("old"), &claims()), &both, &EXPECTED);
    assert_eq!(told, Err(Refused::Signature));
    let told = check(&new.sign(&named("newer"), &claims()), &both, &EXPECTED);
    assert_eq!(told, Err(Refused::Key));
    let unnamed = new.sign(&json!({ "alg": "ES256" }), &claims());
    assert_eq!(check(&unnamed, &both, &EXPECTED), Err(Refused::Key));
    assert!(check(&unnamed, &keys(&[&new]), &EXPECTED).is_ok());
}

#[test]
fn keys_that_cannot_be_used_are_passed_over() {
    let signer = Signer::new("a");
    let mut strange = vec![json!(7), json!({}), json!({ "kty": "oct", "k": "AAAA" })];
    for (name, value) in [
        ("use", json!("enc")),
        ("alg", json!("ES384")),
        ("crv", json!("P-384")),
        ("x", json!("AAAA")),
        ("y", json!("%")),
    ] {
        let mut key = signer.public();
        key[name] = value;
        strange.push(key);
    }
    strange.push(json!({ "kty": "RSA", "n": "", "e": "AQAB" }));
    let count = strange.len();
    strange.push(signer.public());
    let set = json!({ "keys": strange }).to_string();
    assert_eq!(parse_keys(set.as_bytes()).unwrap(), keys(&[&signer]), "of {count} and one");
    for none in ["", "[]", "{}", "{\"keys\":7}"] {
        assert_eq!(parse_keys(none.as_bytes()), None);
    }
}
