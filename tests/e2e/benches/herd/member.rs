//! An agent of the fleet that was let in: its key, its certificate, and how it connects.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use busyhour_proto::v1;
use busyhour_proto::v1::enrolment_client::EnrolmentClient;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::collector::Papers;

/// Agents that enrol at the same time. The collector takes eight from one address.
const TOGETHER: usize = 8;
/// Between two tries of one that was told to come back.
const AGAIN: Duration = Duration::from_millis(10);

/// One agent.
pub(crate) struct Member {
    /// Its identity, as people read it.
    pub(crate) id: String,
    endpoint: Endpoint,
}

impl Member {
    /// Enrols with the token of its number, however often that takes.
    async fn enrol(ingest: &str, papers: &Papers, agent: usize) -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
        let request = CertificateParams::default().serialize_request(&key).expect("a request");
        let (token_id, token_secret) = papers.token_of(agent).clone();
        let message = v1::EnrolRequest {
            token_id,
            token_secret,
            request: request.der().to_vec(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            os: "linux".to_owned(),
        };
        let stranger = endpoint(ingest, ClientTlsConfig::new(), &papers.authority);
        let credential = loop {
            if let Ok(channel) = stranger.connect().await
                && let Ok(reply) = EnrolmentClient::new(channel).enrol(message.clone()).await
            {
                break reply.into_inner().credential.expect("a credential");
            }
            tokio::time::sleep(AGAIN).await;
        };
        let shown = Identity::from_pem(pem(&credential.certificates), key.serialize_pem());
        let tls = ClientTlsConfig::new().identity(shown);
        Self {
            id: uuid(&credential.agent),
            endpoint: endpoint(ingest, tls, &pem(&credential.authorities)),
        }
    }

    /// A connection that shows its certificate.
    pub(crate) async fn connect(&self) -> Option<Channel> {
        self.endpoint.connect().await.ok()
    }
}

/// Enrols so many, and says how long that took.
pub(crate) async fn enrol(ingest: &str, papers: Papers, agents: usize) -> (Vec<Member>, Duration) {
    let (papers, turns) = (Arc::new(papers), Arc::new(Semaphore::new(TOGETHER)));
    let begun = Instant::now();
    let mut enrolling = JoinSet::new();
    for agent in 0..agents {
        let (ingest, papers, turns) = (ingest.to_owned(), Arc::clone(&papers), Arc::clone(&turns));
        enrolling.spawn(async move {
            let _turn = turns.acquire().await.expect("it stays open");
            Member::enrol(&ingest, &papers, agent).await
        });
    }
    (enrolling.join_all().await, begun.elapsed())
}

fn endpoint(ingest: &str, tls: ClientTlsConfig, trusted: &str) -> Endpoint {
    let tls = tls.domain_name("localhost").ca_certificate(Certificate::from_pem(trusted));
    let endpoint = Channel::from_shared(format!("https://{ingest}")).expect("an address");
    endpoint.tls_config(tls).expect("sound papers")
}

fn pem(certificates: &[Vec<u8>]) -> String {
    let sections: Vec<_> =
        certificates.iter().map(|der| pem::Pem::new("CERTIFICATE", der.clone())).collect();
    pem::encode_many(&sections)
}

/// 16 bytes as an identity is written.
fn uuid(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{byte:02x}");
    }
    text
}
