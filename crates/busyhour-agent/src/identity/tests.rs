//! Identities on disk, and what an answer must hold to become one.

use std::time::Duration;

use busyhour_model::{AgentId, UtcMicros};
use busyhour_proto::v1;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256};

use super::phases::Act;
use super::*;

const COLLECTOR: &str = "https://collector.example:7443/";
const NOW: UtcMicros = UtcMicros::from_secs(1_800_000_000);
const LIFE: Duration = Duration::from_secs(14 * 86_400);

/// An authority that issues for whatever key.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: Vec<u8>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().der().to_vec();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// What a collector answers for `agent` and its key.
    fn issue(&self, agent: u128, key: &AgentKey) -> v1::Credential {
        let key = KeyPair::from_pem(key.pem()).unwrap();
        let certificate = CertificateParams::default().signed_by(&key, &self.issuer).unwrap();
        v1::Credential {
            agent: AgentId::from_u128(agent).to_bytes().to_vec(),
            certificates: vec![certificate.der().to_vec()],
            authorities: vec![self.certificate.clone()],
            not_before_us: NOW.0,
            not_after_us: NOW.plus(LIFE).0,
            standing: v1::Standing::Active.into(),
            building: "Berlin HQ".to_owned(),
            subnet: String::new(),
        }
    }
}

fn asked(key: &AgentKey, agent: Option<u128>) -> Asked<'static> {
    let agent = agent.map(AgentId::from_u128);
    Asked { collector: COLLECTOR, key: key.clone(), agent, now: NOW }
}

fn credential(authority: &Authority, agent: u128) -> Credential {
    let key = AgentKey::make().unwrap();
    asked(&key, None).accept(Some(authority.issue(agent, &key))).unwrap()
}

#[test]
fn only_an_answer_that_works_becomes_an_identity() {
    let (authority, key) = (Authority::new(), AgentKey::make().unwrap());
    let good = authority.issue(7, &key);
    let accepted = asked(&key, Some(7)).accept(Some(good.clone())).unwrap();
    assert_eq!(accepted.agent, AgentId::from_u128(7));
    assert_eq!(accepted.valid_until, NOW.plus(LIFE));

    let refused = |change: fn(&mut v1::Credential)| {
        let mut answer = good.clone();
        change(&mut answer);
        asked(&key, Some(7)).accept(Some(answer)).unwrap_err()
    };
    assert!(matches!(asked(&key, None).accept(None), Err(IssueError::Empty)));
    assert!(matches!(refused(|answer| answer.agent.clear()), IssueError::Agent));
    let other = refused(|answer| answer.agent = AgentId::from_u128(8).to_bytes().to_vec());
    assert!(matches!(other, IssueError::OtherAgent { .. }), "{other}");
    assert!(matches!(refused(|answer| answer.not_after_us = NOW.0), IssueError::Over));
    assert!(matches!(refused(|answer| answer.building = "x".repeat(513)), IssueError::Name));
    for none in [
        refused(|answer| answer.certificates.clear()),
        refused(|answer| answer.authorities.clear()),
        refused(|answer| answer.authorities = vec![vec![1]; 17]),
    ] {
        assert!(matches!(none, IssueError::Certificates(_)), "{none}");
    }
    for unusable in [
        refused(|answer| answer.certificates = vec![b"no certificate".to_vec()]),
        refused(|answer| answer.authorities = vec![b"no certificate".to_vec()]),
    ] {
        assert!(matches!(unusable, IssueError::Unusable(_)), "{unusable}");
    }
    // A certificate of somebody else's key.
    let foreign = authority.issue(7, &AgentKey::make().unwrap());
    let error = asked(&key, Some(7)).accept(Some(foreign)).unwrap_err();
    assert!(matches!(error, IssueError::Unusable(_)), "{error}");
}

#[test]
fn an_identity_survives_its_file_and_shows_no_key() {
    let credential = credential(&Authority::new(), 7);
    let text = credential.to_json();
    let again = Credential::from_json(&text).unwrap();
    assert_eq!(again.to_json(), text);
    assert_eq!((again.agent, again.renew_from()), (credential.agent, credential.renew_from()));
    let key = credential.key().pem().lines().nth(1).unwrap().to_owned();
    assert!(!format!("{credential:?}").contains(&key));
    // Whatever is left of a file is an error and no panic.
    for length in 0..text.len() - 2 {
        assert!(Credential::from_json(&text[..length]).is_err(), "{length} bytes");
    }
    let newer =
        String::from_utf8(text).unwrap().replace("\"schema_version\": 1", "\"schema_version\": 2");
    assert!(matches!(Credential::from_json(newer.as_bytes()), Err(CredentialError::Newer(2))));
}

#[test]
fn certificates_are_renewed_around_half_their_life_and_not_all_at_once() {
    let authority = Authority::new();
    let mut shares: Vec<u64> = Vec::new();
    for _ in 0..40 {
        let credential = credential(&authority, 7);
        let after = credential.renew_from().since(NOW);
        let share = u64::try_from(after).unwrap() * 100 / u64::try_from(LIFE.as_micros()).unwrap();
        assert!((39..=60).contains(&share), "{share} %");
        shares.push(share);
    }
    shares.sort_unstable();
    shares.dedup();
    assert!(shares.len() > 5, "{shares:?}");
}

#[test]
fn whatever_a_crash_leaves_on_disk_is_an_identity_that_works() {
    let (authority, parent) = (Authority::new(), tempfile::tempdir().unwrap());
    let folder = Folder::of(parent.path());
    assert!(folder.read().unwrap().is_none());
    let (first, second) = (credential(&authority, 7), credential(&authority, 7));
    folder.enrolled(&first).unwrap();
    let on_disk = || {
        let stored = folder.read().unwrap().unwrap();
        let certificate = |credential: &Credential| credential.certificate().to_vec();
        (certificate(&stored.current), stored.candidate.as_ref().map(certificate))
    };
    let (one, two) = (first.certificate().to_vec(), second.certificate().to_vec());
    assert_eq!(on_disk(), (one.clone(), None));
    // A file that was being written when everything stopped.
    let half = &second.to_json()[..100];
    std::fs::write(parent.path().join("identity/candidate.part"), half).unwrap();
    assert_eq!(on_disk(), (one.clone(), None));
    folder.issued(&second).unwrap();
    assert_eq!(on_disk(), (one.clone(), Some(two.clone())));
    folder.apply(Act::Nothing).unwrap();
    assert_eq!(on_disk(), (one.clone(), Some(two.clone())));
    folder.apply(Act::Discard).unwrap();
    assert_eq!(on_disk(), (one.clone(), None));
    folder.issued(&second).unwrap();
    folder.apply(Act::Promote).unwrap();
    assert_eq!(on_disk(), (two, None));
    // A candidate that the disk spoiled is left out, and what works is not lost with it.
    private_file::write(&parent.path().join("identity/candidate.json"), half).unwrap();
    assert_eq!(on_disk().1, None);
}

#[test]
fn nothing_of_another_identity_is_used() {
    let (authority, parent) = (Authority::new(), tempfile::tempdir().unwrap());
    let folder = Folder::of(parent.path());
    let (old, new) = (credential(&authority, 7), credential(&authority, 8));
    folder.enrolled(&old).unwrap();
    folder.keep_nonce(old.agent, &[1, 2, 3]).unwrap();
    assert_eq!(folder.nonce(old.agent).unwrap(), [1, 2, 3]);
    assert!(folder.nonce(new.agent).unwrap().is_empty());
    // As if everything stopped right after the new identity was written.
    folder.issued(&old).unwrap();
    private_file::write(&parent.path().join("identity/identity.json"), &new.to_json()).unwrap();
    let stored = folder.read().unwrap().unwrap();
    assert_eq!((stored.current.agent, stored.candidate.is_none()), (new.agent, true));
    folder.enrolled(&new).unwrap();
    let left: Vec<_> = std::fs::read_dir(parent.path().join("identity")).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn an_enrolment_that_was_interrupted_goes_on_with_its_key() {
    let parent = tempfile::tempdir().unwrap();
    let folder = Folder::of(parent.path());
    let key = folder.key_for(COLLECTOR, "0123456789").unwrap();
    assert_eq!(folder.key_for(COLLECTOR, "0123456789").unwrap().pem(), key.pem());
    assert_ne!(folder.key_for(COLLECTOR, "another").unwrap().pem(), key.pem());
    std::fs::write(parent.path().join("identity/pending.json"), "{").unwrap();
    let error = folder.key_for(COLLECTOR, "another").unwrap_err().to_string();
    assert!(error.contains("pending.json") && error.contains("remove it"), "{error}");
}
