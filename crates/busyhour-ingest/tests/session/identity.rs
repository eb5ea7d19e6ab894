//! Agents with certificates, over TLS.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use busyhour_fleet::{Fleet, FleetConfig, NewTokenRequest, REFUSAL_KEY};
use busyhour_ingest::{
    CertificateAuthenticator, CountersSnapshot, Ingest, IngestParts, Requirements, ServeError,
};
use busyhour_model::{AgentId, Epoch, FileBuilding, RequirementProfile, UtcMicros};
use busyhour_proto::v1;
use busyhour_proto::v1::agent_message::Message as Up;
use busyhour_proto::v1::collector_message::Message as Down;
use busyhour_proto::v1::enrolment_client::EnrolmentClient;
use busyhour_proto::v1::identity_client::IdentityClient;
use busyhour_proto::v1::ingest_client::IngestClient;
use busyhour_store::{
    Act, Approval, AuditAction, Control as _, Identities, IdentityState, Retention, SqliteControl,
    TokenPlace,
};
use rcgen::{CertificateParams, KeyPair};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, HandshakeKind, RootCertStore};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};
use tonic::{Code, Request, Status};

use crate::support::{Agent, PATIENCE, block, hello, now};

const DAY_US: i64 = 86_400_000_000;

/// A collector whose clock runs as its test says.
pub(crate) struct Bed {
    fleet: Arc<Fleet>,
    config: FleetConfig,
    control: Arc<SqliteControl>,
    telemetry: Arc<dyn busyhour_store::Telemetry>,
    ahead_us: Arc<AtomicI64>,
    address: SocketAddr,
    shutdown: CancellationToken,
    ingest: Arc<Ingest>,
    server: tokio::task::JoinHandle<Result<(), ServeError>>,
    _directory: tempfile::TempDir,
}

/// An agent's key and what it got for it.
pub(crate) struct Enrolled {
    key: KeyPair,
    credential: v1::Credential,
}

impl Enrolled {
    fn agent(&self) -> AgentId {
        AgentId::from_slice(&self.credential.agent).unwrap()
    }
}

fn new_key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()
}

fn request(key: &KeyPair) -> Vec<u8> {
    CertificateParams::default().serialize_request(key).unwrap().der().to_vec()
}

fn pem(certificates: &[Vec<u8>]) -> String {
    let sections: Vec<_> =
        certificates.iter().map(|der| pem::Pem::new("CERTIFICATE", der.clone())).collect();
    pem::encode_many(&sections)
}

fn refusal(status: &Status) -> &str {
    status.metadata().get(REFUSAL_KEY).map_or("", |word| word.to_str().unwrap())
}

impl Bed {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
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
        let (telemetry, control) = busyhour_store::open(directory.path(), retention).unwrap();
        let (telemetry, control) = (Arc::new(telemetry), Arc::new(control));
        control.import_buildings(&[hafen()], &Act::by_operator(now())).unwrap();
        let ahead_us = Arc::new(AtomicI64::new(0));
        let ahead = Arc::clone(&ahead_us);
        let clock =
            Arc::new(move || UtcMicros(now().0.saturating_add(ahead.load(Ordering::Relaxed))));
        let config = FleetConfig {
            folder: directory.path().join("identity"),
            company: None,
            names: Vec::new(),
            certificate_life: Duration::from_secs(14 * 86_400),
        };
        let identities: Arc<dyn Identities> = control.clone();
        let fleet = Arc::new(Fleet::open(config.clone(), identities, clock).unwrap());
        let parts = IngestParts {
            telemetry: telemetry.clone(),
            control: control.clone(),
            authenticator: Arc::new(CertificateAuthenticator::new(Arc::clone(&fleet))),
            requirements: Requirements::new([], RequirementProfile::ClientToMicrosoftEdge),
            retention: Duration::from_secs(400 * 24 * 3_600),
        };
        let shutdown = CancellationToken::new();
        let ingest = Arc::new(Ingest::start(parts, shutdown.clone()).unwrap());
        fleet.end_sessions_with(ingest.live_sessions());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (serving, doors) = (Arc::clone(&ingest), Arc::clone(&fleet));
        let server = tokio::spawn(async move { serving.serve_tls(listener, doors).await });
        Self {
            fleet,
            config,
            control,
            telemetry,
            ahead_us,
            address,
            shutdown,
            ingest,
            server,
            _directory: directory,
        }
    }

    /// A token for so many agents, as its four parts.
    async fn token(&self, uses: u32, approval: Approval) -> Vec<String> {
        let building = self.control.buildings().unwrap()[0].id;
        let place = TokenPlace { building, subnet: None };
        let life = Duration::from_secs(3_600);
        let wanted = NewTokenRequest { place, peers: None, uses, approval, life };
        let (fleet, by) = (Arc::clone(&self.fleet), Act::by_operator(now()));
        let made = tokio::task::spawn_blocking(move || fleet.create_token(&wanted, &by));
        let text = made.await.unwrap().unwrap().text.reveal();
        text.split('.').map(ToOwned::to_owned).collect()
    }

    /// A connection that shows a certificate, or none, and trusts these authorities.
    async fn channel(
        &self,
        shown: Option<&Enrolled>,
        trusted: &str,
    ) -> Result<Channel, tonic::transport::Error> {
        let tls = ClientTlsConfig::new()
            .domain_name("localhost")
            .ca_certificate(Certificate::from_pem(trusted));
        let tls = match shown {
            Some(Enrolled { key, credential }) => {
                tls.identity(Identity::from_pem(pem(&credential.certificates), key.serialize_pem()))
            }
            None => tls,
        };
        let endpoint = Channel::from_shared(format!("https://{}", self.address)).unwrap();
        endpoint.tls_config(tls)?.connect().await
    }

    /// The authority's own certificate, as somebody who saw the chain would have it.
    pub(crate) fn authority(&self) -> String {
        std::fs::read_to_string(self.config.folder.join("authority.pem"))
            .map(|text| text.split_at(text.find("-----BEGIN CERTIFICATE").unwrap()).1.to_owned())
            .unwrap()
    }

    async fn enrol(&self, token: &[String], key: KeyPair) -> Result<Enrolled, Status> {
        let channel = self.channel(None, &self.authority()).await.unwrap();
        let credential = enrol(channel, token, &key).await?;
        Ok(Enrolled { key, credential })
    }

    pub(crate) async fn enrolled(&self) -> Enrolled {
        let token = self.token(1, Approval::Automatic).await;
        self.enrol(&token, new_key()).await.unwrap()
    }

    async fn renew(&self, shown: &Enrolled, key: KeyPair) -> Result<Enrolled, Status> {
        let channel = self.channel(Some(shown), &pem(&shown.credential.authorities)).await.unwrap();
        let message = v1::RenewRequest { request: request(&key) };
        let reply = IdentityClient::new(channel).renew(message).await?.into_inner();
        Ok(Enrolled { key, credential: reply.credential.unwrap() })
    }

    /// Opens a stream and says hello with the number of its session.
    pub(crate) async fn session(
        &self,
        shown: &Enrolled,
        nonce: &[u8],
    ) -> Result<(Agent, v1::Welcome), Status> {
        let channel = self.channel(Some(shown), &pem(&shown.credential.authorities)).await.unwrap();
        let mut agent = open(channel).await?;
        let said = match hello(0, 0) {
            Up::Hello(hello) => Up::Hello(v1::Hello { nonce: nonce.to_vec(), ..hello }),
            other => other,
        };
        agent.say(said).await;
        match agent.hear().await? {
            Down::Welcome(welcome) => Ok((agent, welcome)),
            other => panic!("{other:?}"),
        }
    }

    async fn revoke(&self, agent: AgentId) {
        let (fleet, by) = (Arc::clone(&self.fleet), Act::by_operator(now()));
        let revoked = tokio::task::spawn_blocking(move || fleet.revoke(agent, "test", &by));
        revoked.await.unwrap().unwrap();
    }

    fn state(&self, agent: AgentId) -> IdentityState {
        let rows = self.fleet.identities().unwrap();
        rows.into_iter().find(|row| row.agent == agent).unwrap().state
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn counters(&self) -> CountersSnapshot {
        self.ingest.counters().snapshot()
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        let stopped = async {
            self.server.await.unwrap().unwrap();
            Arc::into_inner(self.ingest).unwrap().join().await;
        };
        tokio::time::timeout(PATIENCE, stopped).await.expect("the collector stops");
    }
}

fn hafen() -> FileBuilding {
    FileBuilding {
        name: "Hafen".to_owned(),
        city: String::new(),
        country: String::new(),
        region: String::new(),
        time_zone: None,
        business_hours: None,
        holidays: BTreeSet::new(),
        subnets: Vec::new(),
    }
}

async fn enrol(
    channel: Channel,
    token: &[String],
    key: &KeyPair,
) -> Result<v1::Credential, Status> {
    let message = v1::EnrolRequest {
        token_id: token[1].clone(),
        token_secret: token[2].clone(),
        request: request(key),
        version: "0.1.0".to_owned(),
        os: "linux".to_owned(),
    };
    let reply = EnrolmentClient::new(channel).enrol(message).await?.into_inner();
    Ok(reply.credential.unwrap())
}

async fn open(channel: Channel) -> Result<Agent, Status> {
    let (sender, receiver) = mpsc::channel(64);
    let request = Request::new(ReceiverStream::new(receiver));
    let answers = IngestClient::new(channel).session(request).await?.into_inner();
    Ok(Agent::of(sender, answers))
}

#[tokio::test]
async fn an_enrolled_agent_delivers_under_its_certificates_name() {
    let bed = Bed::start().await;
    let enrolled = bed.enrolled().await;
    assert_eq!(enrolled.credential.building, "Hafen");
    assert_eq!(enrolled.credential.standing(), v1::Standing::Active);
    let (mut agent, welcome) = bed.session(&enrolled, &[]).await.unwrap();
    assert_eq!(welcome.nonce, 1_u64.to_be_bytes());
    agent.say(Up::Block(block(1, &[]))).await;
    agent.hear_acknowledged(&[1]).await;
    let received = bed.telemetry.received(enrolled.agent(), Epoch(crate::support::EPOCH)).unwrap();
    assert_eq!(received.len(), 1);
    drop(agent);
    bed.stop().await;
}

#[tokio::test]
async fn without_a_certificate_of_ours_only_enrolment_answers() {
    let bed = Bed::start().await;
    let channel = bed.channel(None, &bed.authority()).await.unwrap();
    let refused = open(channel.clone()).await.unwrap_err();
    assert_eq!((refused.code(), refusal(&refused)), (Code::Unauthenticated, "certificate"));
    let message = v1::RenewRequest { request: request(&new_key()) };
    let refused = IdentityClient::new(channel.clone()).renew(message).await.unwrap_err();
    assert_eq!(refusal(&refused), "certificate");
    let wrong = ["bh1", "0000000001", "00000000000000000000000000000000"].map(str::to_owned);
    let refused = enrol(channel, &wrong, &new_key()).await.unwrap_err();
    assert_eq!((refused.code(), refusal(&refused)), (Code::PermissionDenied, "token"));

    let other = Bed::start().await;
    let foreign = other.enrolled().await;
    // In TLS 1.3 the client is done before the server has looked at its certificate.
    if let Ok(channel) = bed.channel(Some(&foreign), &bed.authority()).await {
        assert!(open(channel).await.is_err());
    }
    assert!(bed.channel(None, &other.authority()).await.is_err(), "another collector is no ours");
    other.stop().await;
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sixty_four_that_enrol_with_one_token_over_tls_one_gets_in() {
    const RACERS: usize = 64;
    let bed = Bed::start().await;
    let mut channels = Vec::new();
    for _ in 0..RACERS {
        channels.push(bed.channel(None, &bed.authority()).await.unwrap());
    }
    for round in 0..20 {
        let token = bed.token(1, Approval::Automatic).await;
        let mut racers = tokio::task::JoinSet::new();
        for channel in &channels {
            let (channel, token) = (channel.clone(), token.clone());
            racers.spawn(async move { enrol(channel, &token, &new_key()).await });
        }
        let outcomes = racers.join_all().await;
        let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(won, 1, "round {round}");
        let refused = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
        for status in refused {
            assert!(["token-used", "busy"].contains(&refusal(status)), "{status:?}");
        }
    }
    assert_eq!(bed.control.agents().unwrap().len(), 20);
    drop(channels);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_revoke_returned_nothing_is_acknowledged_and_nothing_lets_it_in_again() {
    let bed = Bed::start().await;
    let enrolled = bed.enrolled().await;
    let (mut agent, _) = bed.session(&enrolled, &[]).await.unwrap();
    for number in 1..=4 {
        agent.say(Up::Block(block(number, &[]))).await;
    }
    agent.hear_acknowledged(&[1]).await;
    bed.revoke(enrolled.agent()).await;
    for number in 5..=8 {
        agent.say(Up::Block(block(number, &[]))).await;
    }
    let end = loop {
        match agent.hear().await {
            Ok(Down::Acknowledgement(ack)) => {
                let late = ack.blocks.iter().any(|range| range.last > 4);
                assert!(!late, "acknowledged after revoke: {ack:?}");
            }
            Ok(other) => panic!("{other:?}"),
            Err(status) => break status,
        }
    };
    assert_eq!((end.code(), refusal(&end)), (Code::PermissionDenied, "revoked"));
    let refused = bed.session(&enrolled, &1_u64.to_be_bytes()).await.unwrap_err();
    assert_eq!(refusal(&refused), "revoked");
    let refused = bed.renew(&enrolled, new_key()).await.err().unwrap();
    assert_eq!(refusal(&refused), "revoked");
    let token = bed.token(1, Approval::Automatic).await;
    let refused = bed.enrol(&token, enrolled.key).await.err().unwrap();
    assert_eq!(refusal(&refused), "key", "nor does a token, with this key");
    bed.stop().await;
}

#[tokio::test]
async fn a_tls_session_is_never_resumed() {
    let bed = Bed::start().await;
    let enrolled = bed.enrolled().await;
    let mut roots = RootCertStore::empty();
    for der in &enrolled.credential.authorities {
        roots.add(CertificateDer::from(der.clone())).unwrap();
    }
    let chain = enrolled.credential.certificates.iter().cloned().map(CertificateDer::from);
    let key = PrivateKeyDer::Pkcs8(enrolled.key.serialize_der().into());
    let mut config = ClientConfig::builder_with_provider(Arc::new(
        tokio_rustls::rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_root_certificates(roots)
    .with_client_auth_cert(chain.collect(), key)
    .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = TlsConnector::from(Arc::new(config));
    for _ in 0..3 {
        let tcp = tokio::net::TcpStream::connect(bed.address).await.unwrap();
        let name = "localhost".try_into().unwrap();
        let mut tls = connector.connect(name, tcp).await.unwrap();
        // The server's first bytes come after whatever tickets it gives.
        let mut first = [0; 9];
        tokio::io::AsyncReadExt::read_exact(&mut tls, &mut first).await.unwrap();
        let (_, connection) = tls.get_ref();
        assert_eq!(connection.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(connection.tls13_tickets_received(), 0);
        let version = connection.protocol_version();
        assert_eq!(version, Some(tokio_rustls::rustls::ProtocolVersion::TLSv1_3));
    }
    bed.stop().await;
}

#[tokio::test]
async fn an_expired_certificate_renews_and_does_nothing_else() {
    let bed = Bed::start().await;
    let enrolled = bed.enrolled().await;
    bed.ahead_us.store(20 * DAY_US, Ordering::Relaxed);
    let refused = bed.session(&enrolled, &[]).await.unwrap_err();
    assert_eq!(refusal(&refused), "expired");
    let refused = bed.renew(&enrolled, new_key()).await.err().unwrap();
    assert_eq!(refusal(&refused), "key", "only with its own key");
    let own_key = KeyPair::try_from(enrolled.key.serialize_der()).unwrap();
    let renewed = bed.renew(&enrolled, own_key).await.unwrap();
    assert_eq!(renewed.credential.agent, enrolled.credential.agent);
    let (agent, _) = bed.session(&renewed, &[]).await.unwrap();
    drop(agent);
    let late = bed.control.audit(UtcMicros(0), UtcMicros(i64::MAX), 99).unwrap();
    assert!(late.iter().any(|entry| entry.action == AuditAction::AgentLate), "and it is told");
    bed.stop().await;
}

#[tokio::test]
async fn a_copied_identity_is_noticed_and_both_holders_are_refused() {
    let bed = Bed::start().await;
    let enrolled = bed.enrolled().await;
    let (mut original, welcome) = bed.session(&enrolled, &[]).await.unwrap();
    original.say(Up::Block(block(1, &[]))).await;
    original.hear_acknowledged(&[1]).await;
    let refused = bed.session(&enrolled, &[]).await.unwrap_err();
    assert_eq!((refused.code(), refusal(&refused)), (Code::PermissionDenied, "quarantined"));
    let end = original.hear_end().await;
    assert!(["", "quarantined"].contains(&refusal(&end)), "{end:?}");
    assert_eq!(bed.state(enrolled.agent()), IdentityState::Quarantined);
    let refused = bed.session(&enrolled, &welcome.nonce).await.unwrap_err();
    assert_eq!(refusal(&refused), "quarantined");
    bed.stop().await;
}

#[tokio::test]
async fn an_agent_that_comes_back_with_its_next_number_is_no_clone() {
    let bed = Bed::start().await;
    let enrolled = bed.enrolled().await;
    let (half_open, first) = bed.session(&enrolled, &[]).await.unwrap();
    // Its welcome was lost: it says the same again, although the collector thinks that it is there.
    let (mut agent, second) = bed.session(&enrolled, &[]).await.unwrap();
    assert_eq!(first.nonce, second.nonce);
    agent.say(Up::Block(block(1, &[]))).await;
    agent.hear_acknowledged(&[1]).await;
    let (again, third) = bed.session(&enrolled, &second.nonce).await.unwrap();
    assert_eq!(third.nonce, 2_u64.to_be_bytes());
    assert_eq!(bed.state(enrolled.agent()), IdentityState::Active);
    drop((half_open, agent, again));
    bed.stop().await;
}

#[tokio::test]
async fn who_waits_is_refused_until_somebody_approves_it() {
    let bed = Bed::start().await;
    let token = bed.token(1, Approval::Manual).await;
    let enrolled = bed.enrol(&token, new_key()).await.unwrap();
    assert_eq!(enrolled.credential.standing(), v1::Standing::Waiting);
    let refused = bed.session(&enrolled, &[]).await.unwrap_err();
    assert_eq!((refused.code(), refusal(&refused)), (Code::PermissionDenied, "waiting"));
    bed.fleet.approve(enrolled.agent(), &Act::by_operator(now())).unwrap();
    drop(bed.session(&enrolled, &[]).await.unwrap());
    bed.stop().await;
}

#[tokio::test]
async fn agents_follow_a_changed_authority_without_being_touched() {
    let bed = Bed::start().await;
    let enrolled = bed.enrolled().await;
    Fleet::rotate(&bed.config, bed.control.as_ref(), &Act::by_operator(now())).unwrap();
    bed.fleet.refresh().unwrap();
    // It knows the old authority alone.
    let renewed = bed.renew(&enrolled, new_key()).await.unwrap();
    assert_eq!(renewed.credential.authorities.len(), 2);
    assert_ne!(renewed.credential.authorities[0], enrolled.credential.authorities[0]);
    for shown in [&enrolled, &renewed] {
        drop(bed.session(shown, &[]).await.unwrap());
    }
    let only_new = pem(&renewed.credential.authorities[..1]);
    drop(bed.channel(Some(&renewed), &only_new).await.unwrap());
    bed.stop().await;
}
