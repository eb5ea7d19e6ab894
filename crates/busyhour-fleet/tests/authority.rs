//! What the authority signs, whatever is asked of it.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::path::Path;
use std::time::Duration;

use busyhour_fleet::{Authority, BadRequest, RequestedKey, ShownCertificate};
use busyhour_model::{AgentId, UtcMicros};
use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::CertificateDer;
use tempfile::TempDir;
use x509_parser::prelude::*;

const NOW: UtcMicros = UtcMicros(1_789_977_600_000_000);
const LIFE: Duration = Duration::from_secs(14 * 86_400);
/// A request of an RSA key of 1024 bits, signed by it.
const RSA_1024: &[u8] = include_bytes!("rsa_1024.der");
const AGENT: AgentId = AgentId::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0007);

fn authority(folder: &Path) -> Authority {
    Authority::open(folder, NOW).unwrap()
}

fn p256() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()
}

fn request(params: &CertificateParams, key: &KeyPair) -> Vec<u8> {
    params.serialize_request(key).unwrap().der().to_vec()
}

/// What an agent gets for a request.
fn issued(authority: &Authority, der: &[u8]) -> Result<CertificateDer<'static>, BadRequest> {
    let key = RequestedKey::from_request(der)?;
    let planned = authority.plan(&key, NOW, LIFE).unwrap();
    Ok(authority.issue(AGENT, &key, &planned).unwrap())
}

/// The one form that a certificate of an agent has.
#[track_caller]
fn check_profile(der: &CertificateDer<'_>, key: &KeyPair) {
    let (rest, parsed) = X509Certificate::from_der(der).unwrap();
    assert!(rest.is_empty());
    assert_eq!(parsed.subject().iter().count(), 0, "no subject");
    let names = &parsed.subject_alternative_name().unwrap().unwrap().value.general_names;
    let uri = format!("spiffe://busyhour/agent/{AGENT}");
    assert_eq!(names.as_slice(), [GeneralName::URI(&uri)]);
    assert!(!parsed.is_ca() && parsed.basic_constraints().unwrap().is_some());
    let usage = parsed.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && !usage.server_auth && !usage.any && usage.other.is_empty());
    let usage = parsed.key_usage().unwrap().unwrap().value;
    assert!(usage.digital_signature() && !usage.key_cert_sign() && !usage.crl_sign());
    let span = (parsed.validity().not_before.timestamp(), parsed.validity().not_after.timestamp());
    let now_s = NOW.0 / 1_000_000;
    assert_eq!(span, (now_s - 300, now_s + 14 * 86_400));
    assert_eq!(parsed.raw_serial().len(), 16);
    assert_eq!(parsed.extensions().len(), 6, "those, two key identifiers, and nothing else");
    assert_eq!(parsed.public_key().subject_public_key.data.as_ref(), key.public_key_raw());
    let shown = ShownCertificate::read(der).unwrap();
    assert_eq!(shown.agent, AGENT);
}

/// Asks for everything that an agent must not have.
fn greedy() -> CertificateParams {
    let mut params = CertificateParams::new(vec!["collector.example".to_owned()]).unwrap();
    let foreign = "spiffe://busyhour/agent/00000000-0000-0000-0000-000000000001";
    params.subject_alt_names.push(SanType::URI(foreign.try_into().unwrap()));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::Any];
    params
}

#[test]
fn of_a_greedy_request_nothing_is_taken_but_its_key() {
    let folder = TempDir::new().unwrap();
    let (authority, key) = (authority(folder.path()), p256());
    for params in [greedy(), CertificateParams::default()] {
        check_profile(&issued(&authority, &request(&params, &key)).unwrap(), &key);
    }
}

#[test]
fn what_is_no_good_request_gets_nothing() {
    let folder = TempDir::new().unwrap();
    let authority = authority(folder.path());
    let plain = CertificateParams::default();
    for algorithm in [&rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        assert_eq!(issued(&authority, &request(&plain, &key)), Err(BadRequest::Key));
    }
    let mut huge = CertificateParams::default();
    let stuffing = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99], vec![0; 1 << 20]);
    huge.custom_extensions.push(stuffing);
    let refused = issued(&authority, &request(&huge, &p256()));
    assert!(matches!(refused, Err(BadRequest::TooLarge(bytes)) if bytes > 1 << 20));
    let der = request(&plain, &p256());
    for end in 0..der.len() {
        assert_eq!(issued(&authority, &der[..end]), Err(BadRequest::Unreadable), "{end}");
    }
    let mut forged = der;
    let last = forged.len() - 1;
    forged[last] ^= 1;
    assert!(issued(&authority, &forged).is_err(), "it is not signed by its key");
    assert_eq!(issued(&authority, RSA_1024), Err(BadRequest::Unreadable));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn whatever_a_request_asks_for_the_certificate_is_the_same(
        names in proptest::collection::vec("[a-z]{1,12}\\.[a-z]{2,4}", 0..4),
        uris in proptest::collection::vec("spiffe://[a-z/0-9-]{1,40}", 0..4),
        authority_wanted in any::<bool>(),
        usages in 0..3_usize,
    ) {
        let folder = TempDir::new().unwrap();
        let (authority, key) = (authority(folder.path()), p256());
        let mut params = CertificateParams::new(names).unwrap();
        for uri in uris {
            params.subject_alt_names.push(SanType::URI(uri.as_str().try_into().unwrap()));
        }
        if authority_wanted {
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(3));
        }
        let all = [ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::CodeSigning];
        params.extended_key_usages = all.into_iter().take(usages).collect();
        check_profile(&issued(&authority, &request(&params, &key)).unwrap(), &key);
    }

    #[test]
    fn no_bytes_make_reading_a_request_or_a_certificate_panic(
        noise in proptest::collection::vec(any::<u8>(), 0..200),
        at in any::<proptest::sample::Index>(),
        bit in 0..8_u32,
    ) {
        let _ = RequestedKey::from_request(&noise);
        let _ = ShownCertificate::read(&CertificateDer::from(noise));
        let mut der = request(&greedy(), &p256());
        let at = at.index(der.len());
        der[at] ^= 1 << bit;
        let _ = RequestedKey::from_request(&der);
    }
}

#[test]
fn the_key_is_made_once_and_is_its_owners_alone() {
    let folder = TempDir::new().unwrap();
    let place = folder.path().join("identity");
    let first = Authority::open(&place, NOW).unwrap().pin();
    assert_eq!(Authority::open(&place, NOW).unwrap().pin(), first);
    let file = place.join("authority.pem");
    let mode = |mode: u32| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        Authority::open(&place, NOW).map(|authority| authority.pin())
    };
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    for open in [0o644, 0o640, 0o606] {
        let refused = mode(open).unwrap_err().to_string();
        assert!(refused.contains("may be read by others"), "{refused}");
    }
    assert_eq!(mode(0o600).unwrap(), first);
    std::fs::write(&file, "no key").unwrap();
    assert!(Authority::open(&place, NOW).is_err(), "it is never made again over what is there");
}

#[test]
fn a_changed_authority_is_trusted_by_those_who_know_the_old_one() {
    let folder = TempDir::new().unwrap();
    let old = authority(folder.path());
    let old_own = old.chain()[0].clone();
    let next = Authority::rotate(folder.path(), NOW).unwrap();
    assert_ne!(next.pin(), old.pin());
    assert_eq!(authority(folder.path()).pin(), next.pin());
    assert_eq!(next.trusted(), [next.chain()[0].clone(), old_own.clone()]);
    let (_, old_own) = X509Certificate::from_der(&old_own).unwrap();
    let (_, crossed) = X509Certificate::from_der(&next.chain()[1]).unwrap();
    let (_, new_own) = X509Certificate::from_der(&next.chain()[0]).unwrap();
    assert_eq!(crossed.public_key().raw, new_own.public_key().raw);
    assert_eq!(crossed.subject(), new_own.subject());
    crossed.verify_signature(Some(old_own.public_key())).unwrap();
    let key = p256();
    let leaf = issued(&next, &request(&CertificateParams::default(), &key)).unwrap();
    let (_, leaf) = X509Certificate::from_der(&leaf).unwrap();
    leaf.verify_signature(Some(new_own.public_key())).unwrap();
    assert!(leaf.verify_signature(Some(old_own.public_key())).is_err());
    let third = Authority::rotate(folder.path(), NOW).unwrap();
    assert_eq!(third.trusted().len(), 3, "who knows the first still follows");
}

#[test]
fn nothing_outlives_the_authority() {
    let folder = TempDir::new().unwrap();
    let authority = authority(folder.path());
    let der = request(&CertificateParams::default(), &p256());
    let key = RequestedKey::from_request(&der).unwrap();
    let late = UtcMicros(NOW.0 + 3_650 * 86_400_000_000);
    let planned = authority.plan(&key, late, LIFE).unwrap();
    assert_eq!(planned.until, UtcMicros(NOW.0 + 3_652 * 86_400_000_000));
}
