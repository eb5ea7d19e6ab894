//! The resolver against a name server of its own, and without one.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::thread::JoinHandle;

use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

use super::*;
use crate::allow::Listed;

/// What one who receives waits for at most before looking whether it is over.
const GLANCE: Duration = Duration::from_millis(20);

/// What a name server knows.
#[derive(Debug, Clone)]
pub(crate) struct Zone {
    /// Addresses of `reflector.test`, each with its time to live in seconds.
    pub(crate) addresses: Vec<(IpAddr, u32)>,
    /// Questions for IPv6 addresses fail.
    pub(crate) is_half_broken: bool,
}

/// A name server on loopback.
pub(crate) struct NameServer {
    pub(crate) zone: Arc<Mutex<Zone>>,
    port: u16,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl NameServer {
    pub(crate) fn start(addresses: &[(&str, u32)]) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(GLANCE)).unwrap();
        let port = socket.local_addr().unwrap().port();
        let zone = Zone { addresses: Vec::new(), is_half_broken: false };
        let zone = Arc::new(Mutex::new(zone));
        let over = Arc::new(AtomicBool::new(false));
        let (end, known) = (Arc::clone(&over), Arc::clone(&zone));
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 1500];
            while !end.load(Ordering::Acquire) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                let zone = known.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let question = Message::from_vec(&buffer[..length]).unwrap();
                socket.send_to(&answer(&question, &zone).to_vec().unwrap(), from).unwrap();
            }
        });
        let server = Self { zone, port, over, thread: Some(thread) };
        server.set(addresses);
        server
    }

    pub(crate) fn set(&self, addresses: &[(&str, u32)]) {
        let parse = |&(text, ttl): &(&str, u32)| (text.parse().unwrap(), ttl);
        self.zone.lock().unwrap().addresses = addresses.iter().map(parse).collect();
    }

    pub(crate) fn resolver(&self) -> Resolver {
        self.resolver_that_allows(Allow::whatever_is_a_machine())
    }

    fn resolver_that_allows(&self, allow: Allow) -> Resolver {
        let mut server = NameServerConfig::udp(Ipv4Addr::LOCALHOST.into());
        server.connections[0].port = self.port;
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        Resolver::with(Servers::Given(Box::new(config)), allow)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        let _ = self.thread.take().unwrap().join();
    }
}

/// `alias.test` is another name of `reflector.test`, for 40 seconds.
fn answer(question: &Message, zone: &Zone) -> Message {
    let query = question.queries[0].clone();
    let (name, kind) = (query.name().to_string(), query.query_type());
    let mut answer = Message::response(question.metadata.id, OpCode::Query);
    answer.metadata.recursion_available = true;
    answer.add_query(query);
    if kind == RecordType::AAAA && zone.is_half_broken {
        answer.metadata.response_code = ResponseCode::ServFail;
        return answer;
    }
    let canonical = Name::from_ascii("reflector.test.").unwrap();
    match name.as_str() {
        "reflector.test." => {}
        "alias.test." => {
            let alias = Name::from_ascii(&name).unwrap();
            let points = hickory_resolver::proto::rr::rdata::CNAME(canonical.clone());
            answer.add_answer(Record::from_rdata(alias, 40, RData::CNAME(points)));
        }
        _ => {
            answer.metadata.response_code = ResponseCode::NXDomain;
            return answer;
        }
    }
    for &(address, ttl) in &zone.addresses {
        let is_asked_for = match kind {
            RecordType::A => address.is_ipv4(),
            RecordType::AAAA => address.is_ipv6(),
            _ => false,
        };
        if is_asked_for {
            answer.add_answer(Record::from_rdata(canonical.clone(), ttl, RData::from(address)));
        }
    }
    answer
}

#[tokio::test]
async fn addresses_stand_for_themselves() {
    let resolver = Resolver::new(Allow::whatever_is_a_machine());
    let resolved = async |host| resolver.resolve(host).await.unwrap().addresses;
    assert_eq!(resolved("192.0.2.1").await, ["192.0.2.1:0".parse().unwrap()]);
    assert_eq!(resolved("2001:db8::1").await, ["[2001:db8::1]:0".parse().unwrap()]);
}

#[tokio::test]
async fn a_name_stands_for_its_addresses_for_as_long_as_the_shortest_lived_record_says() {
    let server = NameServer::start(&[("127.0.0.9", 300), ("127.0.0.8", 120), ("::1", 600)]);
    let found = server.resolver().resolve("reflector.test").await.unwrap();
    let mut addresses: Vec<IpAddr> = found.addresses.iter().map(SocketAddr::ip).collect();
    assert_eq!(found.holds, Some(Duration::from_secs(120)));
    addresses.sort_unstable();
    let expected = ["127.0.0.8", "127.0.0.9", "::1"].map(|text| text.parse::<IpAddr>().unwrap());
    assert_eq!(addresses, expected);
}

#[tokio::test]
async fn an_alias_counts_too() {
    let server = NameServer::start(&[("127.0.0.9", 300)]);
    let found = server.resolver().resolve("alias.test").await.unwrap();
    assert_eq!(found.addresses, ["127.0.0.9:0".parse().unwrap()]);
    assert_eq!(found.holds, Some(Duration::from_secs(40)));
}

#[tokio::test]
async fn a_server_that_fails_for_one_family_is_not_believed_for_the_other() {
    let server = NameServer::start(&[("127.0.0.9", 300)]);
    server.zone.lock().unwrap().is_half_broken = true;
    let asked = dns::ask(&server.resolver().servers, "reflector.test").await;
    assert!(matches!(asked, Err(dns::DnsError::Failed(_))), "{asked:?}");
}

#[tokio::test]
async fn what_dns_does_not_know_the_system_is_asked() {
    let server = NameServer::start(&[]);
    let asked = dns::ask(&server.resolver().servers, "localhost.test").await;
    assert!(matches!(asked, Err(dns::DnsError::Empty)), "{asked:?}");
    // Its addresses are in no zone; which name this machine has is the system's to know.
    let asked = dns::ask(&server.resolver().servers, "reflector.test").await;
    assert!(matches!(asked, Err(dns::DnsError::Empty)), "{asked:?}");
    let found = server.resolver().resolve("127.1").await.unwrap();
    assert_eq!(found.addresses, ["127.0.0.1:0".parse().unwrap()]);
    assert_eq!(found.holds, None);
}

#[tokio::test]
async fn a_name_that_cannot_exist_is_an_error() {
    assert!(Resolver::new(Allow::whatever_is_a_machine()).resolve("..").await.is_err());
}

#[tokio::test]
async fn a_resolver_that_hangs_is_asked_no_third_question_even_if_nobody_waits() {
    let resolver = Resolver::new(Allow::whatever_is_a_machine());
    let mut answers = Vec::new();
    for _ in 0..MAX_LOOKUPS {
        let (answer, hanging) = channel::<()>();
        let mut asked = Box::pin(resolver.one_of_few(move || hanging.recv().is_ok()));
        assert_eq!(futures_poll(asked.as_mut()), Poll::Pending);
        answers.push(answer);
    }
    let mut third = Box::pin(resolver.one_of_few(|| true));
    assert_eq!(futures_poll(third.as_mut()), Poll::Pending);
    assert_eq!(resolver.lookups.available_permits(), 0);
    answers.pop().unwrap().send(()).unwrap();
    assert!(third.await);
    drop(answers);
}

fn nothing_special() -> Allow {
    Allow::new(Vec::new(), Vec::new(), [])
}

#[tokio::test]
async fn no_notation_brings_a_probe_to_a_metadata_service() {
    let resolver = Resolver::new(nothing_special());
    for host in [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        // What the system's resolver takes for addresses (inet_aton): decimal, hexadecimal, octal.
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "0xa9.254.0251.254",
        "169.254.43518",
        "169.16689662",
    ] {
        let refused = resolver.resolve(host).await;
        let Err(ResolveError::Refused(Refused::Special { special, .. })) = refused else {
            panic!("{host}: {refused:?}")
        };
        assert_eq!(special, Special::Metadata, "{host}");
    }
}

#[tokio::test]
async fn a_name_is_let_through_by_each_of_its_addresses() {
    let server = NameServer::start(&[("169.254.169.254", 60), ("198.51.100.7", 60)]);
    let found = server.resolver_that_allows(nothing_special()).resolve("reflector.test").await;
    assert_eq!(found.unwrap().addresses, ["198.51.100.7:0".parse().unwrap()]);
    server.set(&[("169.254.169.254", 60), ("127.0.0.1", 60), ("::ffff:10.0.0.1", 60)]);
    let listed = Allow::new(vec![Listed::parse("*.elsewhere").unwrap()], Vec::new(), []);
    let refused = server.resolver_that_allows(listed).resolve("reflector.test").await;
    assert!(matches!(refused, Err(ResolveError::Refused(_))), "{refused:?}");
}

fn futures_poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
}
