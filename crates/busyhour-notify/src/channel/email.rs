//! Mail by SMTP (RFC 5321) with STARTTLS (RFC 3207) or TLS (RFC 8314).

use std::fmt;
use std::path::Path;

use busyhour_daemon::{Secret, chain};
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Mailboxes};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};

use super::{Problem, SendError, is_loopback, parse_timeout, read_roots};
use crate::config::{EmailConfig, Security};
use crate::message::Message;

/// A Champion and a few colleagues; more is what mailing lists are for.
const MAX_RECIPIENTS: usize = 50;

pub(super) struct Email {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    host: String,
    from: Mailbox,
    to: Mailboxes,
    password: Option<Secret>,
}

impl Email {
    pub(super) fn build(config: &EmailConfig) -> Result<Self, Problem> {
        if config.security == Security::None && !is_loopback(&config.host) {
            return Err(Problem::PlainMail { host: config.host.clone() });
        }
        if !(1..=MAX_RECIPIENTS).contains(&config.to.len()) {
            return Err(Problem::Recipients { max: MAX_RECIPIENTS });
        }
        let from = parse_address(&config.from)?;
        let to =
            config.to.iter().map(|text| parse_address(text)).collect::<Result<Mailboxes, _>>()?;
        let password = match (&config.user, &config.password_file) {
            (Some(_), Some(path)) => Some(Secret::read(path)?),
            (None, None) => None,
            _ => return Err(Problem::Credentials),
        };
        let (tls, default_port) = tls(config)?;
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&config.host)
            .port(config.port.unwrap_or(default_port))
            .timeout(Some(parse_timeout(config.timeout.as_deref())?))
            .tls(tls);
        if let (Some(user), Some(password)) = (&config.user, &password) {
            let password = password.expose().to_owned();
            builder = builder.credentials(Credentials::new(user.clone(), password));
        }
        Ok(Self { transport: builder.build(), host: config.host.clone(), from, to, password })
    }

    pub(super) async fn send(&self, message: &Message) -> Result<(), SendError> {
        let mail = self.compose(message).map_err(|error| self.describe(&error))?;
        match self.transport.send(mail).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.describe(&error)),
        }
    }

    fn compose(&self, message: &Message) -> Result<lettre::Message, lettre::error::Error> {
        let mut mail = lettre::Message::builder()
            .from(self.from.clone())
            .mailbox(lettre::message::header::To::from(self.to.clone()))
            .subject(&message.subject)
            .message_id(Some(format!("<{}@busyhour.invalid>", message.key)))
            .header(ContentType::TEXT_PLAIN)
            .body(message.text.clone())?;
        // Nobody's absence note should answer an alert (RFC 3834, section 5).
        mail.headers_mut().insert_raw(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ));
        Ok(mail)
    }

    /// The whole chain in one line; a server that repeats the password is not quoted.
    fn describe(&self, error: &(dyn std::error::Error + 'static)) -> SendError {
        let mut text = chain(error).to_string();
        if let Some(password) = &self.password {
            text = text.replace(password.expose(), "…");
        }
        SendError(text)
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Email").field("host", &self.host).finish_non_exhaustive()
    }
}

fn parse_address(text: &str) -> Result<Mailbox, Problem> {
    text.parse().map_err(|source| Problem::Address { address: text.to_owned(), source })
}

/// How to protect the connection, and the port that usually goes with it.
fn tls(config: &EmailConfig) -> Result<(Tls, u16), Problem> {
    let parameters = || tls_parameters(&config.host, config.root_ca_file.as_deref());
    Ok(match config.security {
        Security::Starttls => (Tls::Required(parameters()?), 587),
        Security::Tls => (Tls::Wrapper(parameters()?), 465),
        Security::None => (Tls::None, 25),
    })
}

fn tls_parameters(host: &str, roots: Option<&Path>) -> Result<TlsParameters, Problem> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(path) = roots {
        let pem = read_roots(path)?;
        let none = || Problem::NoRoots { path: path.to_owned() };
        if !pem.windows(PEM_BEGIN.len()).any(|part| part == PEM_BEGIN) {
            return Err(none());
        }
        builder = builder
            .certificate_store(CertificateStore::None)
            .add_root_certificate(Certificate::from_pem(&pem).map_err(|_| none())?);
    }
    builder.build().map_err(Problem::Smtp)
}

const PEM_BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
