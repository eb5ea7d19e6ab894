//! The fleet as those see it who keep it: limits of tokens, a company's authority, files that change.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use busyhour_fleet::{
    AuthorityError, CompanyAuthority, Fleet, FleetConfig, FleetError, NewTokenRequest, TokenLimit,
};
use busyhour_model::{BuildingId, UtcMicros};
use busyhour_store::{
    Act, Approval, AuditAction, Control as _, ErrorKind, Identities, Retention, SqliteControl,
    TokenPlace,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use tempfile::TempDir;

const NOW: UtcMicros = UtcMicros(1_789_977_600_000_000);

fn store(folder: &Path) -> Arc<SqliteControl> {
    let days = 400;
    let retention = Retention {
        windows_days: days,
        slots_days: days,
        hours_days: days,
        checks_days: days,
        facts_days: days,
        loads_days: days,
        gaps_days: days,
    };
    Arc::new(busyhour_store::open(&folder.join("store"), retention).unwrap().1)
}

fn config(folder: &Path) -> FleetConfig {
    FleetConfig {
        folder: folder.join("identity"),
        company: None,
        names: Vec::new(),
        certificate_life: Duration::from_secs(14 * 86_400),
    }
}

fn open(config: &FleetConfig, control: &Arc<SqliteControl>) -> Result<Fleet, FleetError> {
    let identities = Arc::clone(control) as Arc<dyn Identities>;
    Fleet::open(config.clone(), identities, Arc::new(|| NOW))
}

/// A company's files: its authority's certificate and key, with what the certificate is for.
fn company(folder: &Path, is_ca: IsCa) -> CompanyAuthority {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = is_ca;
    let files = CompanyAuthority { certificate: folder.join("ca.crt"), key: folder.join("ca.key") };
    std::fs::write(&files.certificate, params.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(&files.key, key.serialize_pem()).unwrap();
    protect(&files.key, 0o600);
    files
}

fn protect(file: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_token_is_for_a_day_at_most_and_for_a_thousand_agents_at_most() {
    let folder = TempDir::new().unwrap();
    let fleet = open(&config(folder.path()), &store(folder.path())).unwrap();
    let place = TokenPlace { building: BuildingId::from_u128(1), subnet: None };
    let make = |uses, life_s| {
        let life = Duration::from_secs(life_s);
        let approval = Approval::Automatic;
        let wanted = NewTokenRequest { place, peers: None, uses, approval, life };
        fleet.create_token(&wanted, &Act::by_operator(NOW)).unwrap_err()
    };
    for (uses, life_s, limit) in [
        (0, 3_600, TokenLimit::Uses),
        (1_001, 3_600, TokenLimit::Uses),
        (1, 59, TokenLimit::Life),
        (1, 86_401, TokenLimit::Life),
    ] {
        assert!(matches!(make(uses, life_s), FleetError::Limit(found) if found == limit));
    }
    let none = make(1_000, 86_400);
    let found = matches!(&none, FleetError::Store(error) if error.kind() == ErrorKind::NotFound);
    assert!(found, "only then it is asked for the building: {none}");
}

#[test]
fn a_companys_authority_is_used_as_it_is_and_never_changed_here() {
    let folder = TempDir::new().unwrap();
    let control = store(folder.path());
    let own = open(&config(folder.path()), &control).unwrap().pin();
    let files = company(folder.path(), IsCa::Ca(BasicConstraints::Unconstrained));
    let with_company = FleetConfig { company: Some(files.clone()), ..config(folder.path()) };
    assert_ne!(open(&with_company, &control).unwrap().pin(), own);
    let refused = Fleet::rotate(&with_company, control.as_ref(), &Act::by_operator(NOW));
    assert!(matches!(refused, Err(FleetError::Authority(AuthorityError::Company))));
    protect(&files.key, 0o640);
    let refused = open(&with_company, &control).err().unwrap().to_string();
    assert!(refused.contains("may be read by others"), "{refused}");
    company(folder.path(), IsCa::ExplicitNoCa);
    let refused = open(&with_company, &control).err().unwrap().to_string();
    assert!(refused.contains("is no authority's"), "{refused}");
    let other = KeyPair::generate().unwrap();
    company(folder.path(), IsCa::Ca(BasicConstraints::Unconstrained));
    std::fs::write(&files.key, other.serialize_pem()).unwrap();
    let refused = open(&with_company, &control).err().unwrap().to_string();
    assert!(refused.contains("of another key"), "{refused}");
}

#[test]
fn files_that_change_are_taken_over_and_such_as_cannot_be_used_are_not() {
    let folder = TempDir::new().unwrap();
    let control = store(folder.path());
    let config = config(folder.path());
    let fleet = open(&config, &control).unwrap();
    let (before, port) = (fleet.pin(), fleet.tls().config());
    fleet.refresh().unwrap();
    assert!(Arc::ptr_eq(&port, &fleet.tls().config()), "nothing changed");
    let next = Fleet::rotate(&config, control.as_ref(), &Act::by_operator(NOW)).unwrap();
    assert_eq!(fleet.pin(), before);
    fleet.refresh().unwrap();
    assert_eq!(fleet.pin(), next);
    assert!(!Arc::ptr_eq(&port, &fleet.tls().config()), "the port has another certificate");
    std::fs::write(config.folder.join("authority.pem"), "torn").unwrap();
    assert!(fleet.refresh().is_err());
    assert_eq!(fleet.pin(), next, "what was in use stays");
    let audit = control.audit(NOW, UtcMicros(i64::MAX), 9).unwrap();
    assert_eq!(audit[0].action, AuditAction::AuthorityChanged);
}
