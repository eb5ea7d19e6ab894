//! Mail by SMTP (RFC 5321) with STARTTLS (RFC 3207) or TLS (RFC 8314).

use std::fmt;
use std::path::Path;
use std::time::Duration;

use busyhour_daemon::{Secret, chain};
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, Mailboxes, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};

use super::{Problem, SendError, is_loopback, parse_timeout, read_roots};
use crate::config::{EmailConfig, Security};
use crate::message::{Message, PICTURE_ID};

/// How many of its steps the whole of an exchange may take.
const MAX_STEPS: u32 = 4;
/// A Champion and a few colleagues; more is what mailing lists are for.
const MAX_RECIPIENTS: usize = 50;

pub(super) struct Email {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    host: String,
    from: Mailbox,
    to: Mailboxes,
    password: Option<Secret>,
    /// The longest wait for the whole of an exchange.
    timeout: Duration,
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
        let step = parse_timeout(config.timeout.as_deref())?;
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&config.host)
            .port(config.port.unwrap_or(default_port))
            .timeout(Some(step))
            .tls(tls);
        if let (Some(user), Some(password)) = (&config.user, &password) {
            let password = password.expose().to_owned();
            builder = builder.credentials(Credentials::new(user.clone(), password));
        }
        let transport = builder.build();
        let (host, timeout) = (config.host.clone(), step * MAX_STEPS);
        Ok(Self { transport, host, from, to, password, timeout })
    }

    pub(super) async fn send(&self, message: &Message) -> Result<(), SendError> {
        let mail =
            self.compose(message).map_err(|error| SendError::for_good(self.describe(&error)))?;
        let Ok(sent) = tokio::time::timeout(self.timeout, self.transport.send(mail)).await else {
            return Err(SendError::passing("the mail server took too long".to_owned()));
        };
        match sent {
            Ok(_) => Ok(()),
            // RFC 5321, section 4.2.1: 5yz is permanent.
            Err(error) if error.is_permanent() => Err(SendError::for_good(self.describe(&error))),
            Err(error) => Err(SendError::passing(self.describe(&error))),
        }
    }

    fn compose(&self, message: &Message) -> Result<lettre::Message, lettre::error::Error> {
        let builder = lettre::Message::builder()
            .from(self.from.clone())
            .mailbox(lettre::message::header::To::from(self.to.clone()))
            .subject(&message.subject)
            .message_id(Some(format!("<{}@busyhour.invalid>", message.key)));
        let mut mail = builder.multipart(with_files(message))?;
        // Nobody's absence note should answer an alert (RFC 3834, section 5).
        mail.headers_mut().insert_raw(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ));
        Ok(mail)
    }

    /// The whole chain in one line; a server that repeats the password is not quoted.
    fn describe(&self, error: &(dyn std::error::Error + 'static)) -> String {
        let mut text = chain(error).to_string();
        if let Some(password) = &self.password {
            text = text.replace(password.expose(), "…");
        }
        text
    }
}

/// Text, and the same as HTML with its picture (RFC 2046, section 5.1.4; RFC 2387).
fn parts(message: &Message) -> MultiPart {
    let text = SinglePart::plain(message.text.clone());
    let html = SinglePart::html(message.html.clone());
    let both = MultiPart::alternative().singlepart(text);
    match &message.picture {
        None => both.singlepart(html),
        Some(picture) => {
            let image =
                Attachment::new_inline_with_name(PICTURE_ID.to_owned(), "picture.png".to_owned());
            let image = image.body(picture.png.clone(), png());
            both.multipart(MultiPart::related().singlepart(html).singlepart(image))
        }
    }
}

/// The message, and what is attached to it.
fn with_files(message: &Message) -> MultiPart {
    if message.attachments.is_empty() {
        return parts(message);
    }
    let mut mixed = MultiPart::mixed().multipart(parts(message));
    for (name, media_type, bytes) in &message.attachments {
        let kind = ContentType::parse(media_type).unwrap_or_else(|_| octets());
        mixed = mixed.singlepart(Attachment::new(name.clone()).body(bytes.clone(), kind));
    }
    mixed
}

fn octets() -> ContentType {
    ContentType::parse("application/octet-stream").expect("a media type")
}

fn png() -> ContentType {
    ContentType::parse("image/png").expect("a media type")
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
