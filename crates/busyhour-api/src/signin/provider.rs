//! Signing in with an identity provider: `OpenID` Connect Core 1.0, the authorization code flow
//! (section 3.1) with PKCE (RFC 7636), state, nonce and, where the provider offers it, its name in the
//! answer (RFC 9207).
//!
//! A browser goes to the provider and comes back with a code; the collector redeems it for an ID token,
//! whose signature and claims it checks, and the claims give a role by configured rules. A code is worth
//! nothing but in the browser that went. No rule makes an administrator, and nobody becomes another user
//! by a name: who it is, is the issuer and its subject.

mod http;
mod metadata;
pub(crate) mod pages;
mod rules;
mod token;
mod waiting;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use busyhour_fleet::neighbourhood;
use busyhour_store::{Act, Actor, Proven, ProvenUser, UserRow};
use serde::Deserialize;
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use self::http::{Failure, Http, encoded};
use self::metadata::{ClientProof, Issuer, Metadata};
use self::token::{Claims, Expected, Key, Refused};
use self::waiting::{Gone, Waiting, digest};
use super::limiter::Key as Tries;
use super::{Begun, credential};
use crate::app::Core;
use crate::problem::Problem;

pub use self::http::InvalidRoots;
pub use self::metadata::InvalidAddress;
pub use self::rules::{InvalidRules, Rule};

/// Where the provider sends people back to, below the page's address.
const CALLBACK: &str = "/sign-in/provider/callback";
/// What the provider says of itself, and its keys, are asked for again after this long.
const FRESH: Duration = Duration::from_secs(3_600);
/// Keys are asked for out of turn, because a token names another one, at most this often.
const ROTATION: Duration = Duration::from_secs(60);
/// Talks with the provider at once; each holds a thread.
const MAX_TALKS: usize = 4;
/// The longest name on the button, in characters.
const MAX_NAME_CHARACTERS: usize = 64;

/// An identity provider and what its users may do here.
pub struct ProviderConfig {
    /// What people call it; on the button.
    pub name: String,
    /// Its issuer, letter by letter as it names itself.
    pub issuer: String,
    /// What the collector is called there.
    pub client_id: String,
    /// What the collector proves itself with there.
    pub client_secret: String,
    /// Certificates (PEM) that it is trusted by; the system's where there are none.
    pub roots: Option<Vec<u8>>,
    /// Scopes that are asked for beside `openid`.
    pub scopes: Vec<String>,
    /// The claim that users are named by when they come for the first time.
    pub name_claim: String,
    /// Who gets which role.
    pub rules: Vec<Rule>,
}

/// A provider that cannot be used as it is configured.
#[derive(Debug, Error)]
pub enum InvalidProvider {
    /// No name that fits on a button.
    #[error("its name has 1 to {MAX_NAME_CHARACTERS} characters")]
    Name,
    /// Something that cannot be sent.
    #[error("{0} is empty, or has blanks or control characters in it")]
    Text(&'static str),
    /// The issuer is no address.
    #[error(transparent)]
    Issuer(InvalidAddress),
    /// The roots are none.
    #[error("its certificates cannot be used")]
    Roots(#[source] InvalidRoots),
    /// The rules cannot be.
    #[error("its rules cannot be used")]
    Rules(#[source] InvalidRules),
}

/// An identity provider.
pub struct Provider {
    name: String,
    issuer: Issuer,
    client_id: String,
    client_secret: String,
    scope: String,
    name_claim: String,
    rules: Vec<Rule>,
    /// Where people come back to.
    redirect: String,
    http: Http,
    talks: Arc<Semaphore>,
    /// Held for a look, never while something is waited for.
    known: Mutex<Option<Known>>,
    /// When keys were last asked for out of turn. Held while they are, on a thread that may block.
    rotated: Mutex<Option<Instant>>,
    /// The same.
    waiting: Mutex<Waiting>,
}

/// What was learnt of the provider.
#[derive(Clone)]
struct Known {
    metadata: Arc<Metadata>,
    keys: Arc<Vec<Key>>,
    at: Instant,
}

/// What a browser goes to the provider with.
struct Departure {
    address: String,
    /// What it proves itself with when it is back.
    browser: String,
}

/// What a browser comes back with.
struct Arrival {
    state: String,
    browser: String,
    code: Option<String>,
    issuer: Option<String>,
    error: Option<String>,
}

impl Provider {
    /// A provider whose users come back to the page at `base_url`. Nobody is asked anything yet.
    ///
    /// # Errors
    /// When something of it cannot be.
    pub fn new(config: ProviderConfig, base_url: &str) -> Result<Self, InvalidProvider> {
        let named = 1..=MAX_NAME_CHARACTERS;
        let name = config.name.trim().to_owned();
        if !named.contains(&name.chars().count()) || name.chars().any(char::is_control) {
            return Err(InvalidProvider::Name);
        }
        let sent = [
            ("its client_id", &config.client_id),
            ("its client secret", &config.client_secret),
            ("its name_claim", &config.name_claim),
        ];
        let scopes = config.scopes.iter().map(|scope| ("one of its scopes", scope));
        for (what, text) in sent.into_iter().chain(scopes) {
            if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(InvalidProvider::Text(what));
            }
        }
        rules::check(&config.rules).map_err(InvalidProvider::Rules)?;
        let issuer = Issuer::new(config.issuer).map_err(InvalidProvider::Issuer)?;
        let http = Http::new(config.roots.as_deref(), issuer.is_local());
        let mut scope = vec!["openid".to_owned()];
        scope.extend(config.scopes.into_iter().filter(|scope| scope != "openid"));
        Ok(Self {
            name,
            issuer,
            client_id: config.client_id,
            client_secret: config.client_secret,
            scope: scope.join(" "),
            name_claim: config.name_claim,
            rules: config.rules,
            redirect: format!("{}{CALLBACK}", base_url.trim_end_matches('/')),
            http: http.map_err(InvalidProvider::Roots)?,
            talks: Arc::new(Semaphore::new(MAX_TALKS)),
            known: Mutex::default(),
            rotated: Mutex::default(),
            waiting: Mutex::default(),
        })
    }

    /// What people call it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// True when a user of this issuer may still ask.
    pub(crate) fn is_issuer(&self, issuer: &str) -> bool {
        self.issuer.as_str() == issuer
    }

    fn known(&self) -> MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Talks with the provider off the runtime's threads.
    async fn talk<T: Send + 'static>(
        self: &Arc<Self>,
        talk: impl FnOnce(&Self) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let permit = timeout(http::PATIENCE, Arc::clone(&self.talks).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return Err(Failure::Busy) };
        let provider = Arc::clone(self);
        let talked = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            talk(&provider)
        });
        talked.await.unwrap_or(Err(Failure::Cut))
    }

    /// What there is to know of the provider, without asking it where that was done lately.
    async fn learned(self: &Arc<Self>) -> Result<Known, Failure> {
        match self.fresh() {
            Some(known) => Ok(known),
            None => self.talk(Self::learn).await,
        }
    }

    fn fresh(&self) -> Option<Known> {
        self.known().clone().filter(|known| known.at.elapsed() < FRESH)
    }

    /// What there is to know of the provider, at most an hour old. Blocks.
    fn learn(&self) -> Result<Known, Failure> {
        if let Some(known) = self.fresh() {
            return Ok(known);
        }
        let told = self.http.get(&self.issuer.well_known(), "what it is")?;
        let metadata = Metadata::parse(&told, &self.issuer).map_err(Failure::Metadata)?;
        let keys = self.keys(&metadata)?;
        let (metadata, keys) = (Arc::new(metadata), Arc::new(keys));
        let known = Known { metadata, keys, at: Instant::now() };
        *self.known() = Some(known.clone());
        Ok(known)
    }

    fn keys(&self, metadata: &Metadata) -> Result<Vec<Key>, Failure> {
        let told = self.http.get(&metadata.keys, "its keys")?;
        token::parse_keys(&told).ok_or(Failure::Keys)
    }

    /// Asks for the keys again, as a token is of none of those that were `known`; seldom, and one at a
    /// time. Blocks.
    fn learn_rotated(&self, known: &Known) -> Result<Option<Arc<Vec<Key>>>, Failure> {
        let mut rotated = self.rotated.lock().unwrap_or_else(PoisonError::into_inner);
        let now_known = self.known().as_ref().map(|known| Arc::clone(&known.keys));
        let newer = now_known.filter(|keys| !Arc::ptr_eq(keys, &known.keys));
        if newer.is_some() {
            // Somebody else has just done it.
            return Ok(newer);
        }
        if rotated.is_some_and(|rotated| rotated.elapsed() < ROTATION) {
            return Ok(None);
        }
        let keys = Arc::new(self.keys(&known.metadata)?);
        *rotated = Some(Instant::now());
        if let Some(now_known) = self.known().as_mut() {
            now_known.keys = Arc::clone(&keys);
        }
        Ok(Some(keys))
    }

    /// Redeems a code and checks the token that it is worth. Blocks.
    fn redeem(&self, code: &str, gone: &Gone, now_s: &dyn Fn() -> i64) -> Result<Claims, Failure> {
        let known = self.learn()?;
        let (id, secret) = (self.client_id.as_str(), self.client_secret.as_str());
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.redirect.as_str()),
            ("code_verifier", gone.verifier.as_str()),
        ];
        let authorization = match known.metadata.proof {
            ClientProof::Basic => {
                let pair = format!("{}:{}", encoded(id), encoded(secret));
                Some(format!("Basic {}", STANDARD.encode(pair)))
            }
            ClientProof::Post => {
                form.extend([("client_id", id), ("client_secret", secret)]);
                None
            }
        };
        let answer = self.http.redeem(&known.metadata.token, authorization.as_deref(), &form)?;
        let answer: TokenAnswer = serde_json::from_slice(&answer).map_err(|_| Failure::NoToken)?;
        let expected = Expected {
            issuer: self.issuer.as_str(),
            client_id: id,
            nonce: &gone.nonce,
            now_s: now_s(),
        };
        let checked = match token::check(&answer.id_token, &known.keys, &expected) {
            // Another key, which may go by the same name or by none.
            Err(refused @ (Refused::Key | Refused::Signature)) => {
                match self.learn_rotated(&known)? {
                    Some(keys) => token::check(&answer.id_token, &keys, &expected),
                    None => Err(refused),
                }
            }
            checked => checked,
        };
        checked.map_err(Failure::Token)
    }

    /// Where a browser asks the provider for a code.
    fn address(&self, metadata: &Metadata, state: &str, gone: &Gone) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(digest(&gone.verifier));
        let pairs = [
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", &self.redirect),
            ("scope", &self.scope),
            ("state", state),
            ("nonce", &gone.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        let query = pairs.map(|(name, value)| format!("{name}={}", encoded(value))).join("&");
        let joint = if metadata.authorization.contains('?') { '&' } else { '?' };
        format!("{}{joint}{query}", metadata.authorization)
    }
}

#[derive(Deserialize)]
struct TokenAnswer {
    id_token: String,
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// Sends a browser to the provider. `browser` is what it proved itself with lately, if anything.
async fn leave(
    core: &Core,
    provider: &Arc<Provider>,
    peer: IpAddr,
    (browser, back): (Option<String>, &str),
) -> Result<Departure, Problem> {
    core.sign_in().take(&[Tries::departure(peer)])?;
    let known = provider.learned().await.map_err(|failure| unhelpful(&failure))?;
    let drawn = || credential::draw("");
    let browser = match browser.filter(|browser| is_drawn(browser)) {
        Some(browser) => browser,
        None => drawn()?,
    };
    let state = drawn()?;
    let gone = Gone {
        browser_sha256: digest(&browser),
        nonce: drawn()?,
        verifier: drawn()?,
        back: back.to_owned(),
        from: neighbourhood(peer),
        since: Instant::now(),
    };
    let address = provider.address(&known.metadata, &state, &gone);
    provider.waiting().remember(&state, gone);
    Ok(Departure { address, browser })
}

/// Such as [`credential::draw`] makes.
fn is_drawn(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Lets somebody in who is back from the provider, and tells where they wanted to go.
async fn arrive(
    core: &Core,
    provider: &Arc<Provider>,
    peer: IpAddr,
    arrival: Arrival,
) -> Result<(Begun, String), Problem> {
    let none = "this is of no try to sign in from this browser; try again";
    if !provider.waiting().has(&arrival.state) {
        // Who is back with what was given out here guesses nothing.
        core.sign_in().take(&[Tries::address(peer)])?;
        return Err(refuse(core, none));
    }
    // Whoever meets a busy collector may come back with the same: the state is used up after this.
    let metadata = provider.learned().await.map_err(|failure| unhelpful(&failure))?;
    let gone = provider.waiting().take(&arrival.state, &arrival.browser, Instant::now());
    let Some(gone) = gone else {
        core.sign_in().take(&[Tries::address(peer)])?;
        return Err(refuse(core, none));
    };
    let named = arrival.issuer.as_deref();
    let is_of_provider = match named {
        Some(named) => provider.is_issuer(named),
        None => !metadata.metadata.names_itself,
    };
    if !is_of_provider {
        return Err(refuse(core, "this answer is not the provider's; try again"));
    }
    let Some(code) = arrival.code.filter(|_| arrival.error.is_none()) else {
        let name = provider.name();
        return Err(refuse(core, &format!("{name} did not let you in")));
    };
    let clock = core.clone();
    let now_s = move || clock.now().0.div_euclid(1_000_000);
    let back = gone.back.clone();
    let claims = provider.talk(move |provider| provider.redeem(&code, &gone, &now_s)).await;
    let claims = claims.map_err(|failure| match failure {
        // Anybody can come back with a code that is none.
        Failure::Code("invalid_grant") => {
            refuse(core, &format!("{} does not know this try any more; try again", provider.name()))
        }
        failure => {
            core.sign_in().note_refused();
            unhelpful(&failure)
        }
    })?;
    let user = user(core, provider, claims).await?;
    let begun = super::begin(core, peer, user).await?;
    Ok((begun, back))
}

/// The user whom claims are of.
async fn user(core: &Core, provider: &Provider, claims: Claims) -> Result<UserRow, Problem> {
    let by = Act { at: core.now(), actor: Actor::collector() };
    let Some(rule) = rules::find(&provider.rules, &claims).cloned() else {
        let issuer = provider.issuer.as_str().to_owned();
        let disproved = core.with_services(move |services| {
            Ok(services.accounts.disprove_user(&issuer, &claims.subject, &by)?)
        });
        disproved.await?;
        return Err(refuse(core, "you have no role here; ask an administrator"));
    };
    let Some(name) = rules::name(&claims, &provider.name_claim) else {
        let name = provider.name();
        return Err(refuse(core, &format!("{name} gives you no name that an account can have")));
    };
    let who = (provider.issuer.as_str().to_owned(), claims.subject);
    let proven = core.with_services(move |services| {
        let grant = rules::grant(&rule, &services.control.buildings()?);
        let user = grant.and_then(|grant| ProvenUser::new(who, name, grant));
        let user = user.map_err(|_| Problem::internal())?;
        Ok(services.accounts.prove_user(&user, &by)?)
    });
    match proven.await? {
        Proven::User(user) => Ok(user),
        Proven::NameTaken => Err(refuse(
            core,
            "another user has your name here; an administrator can remove the other one",
        )),
        Proven::TooMany => Err(refuse(core, "there are as many users as there can be")),
    }
}

/// Nobody comes in, for a reason that they may know.
fn refuse(core: &Core, why: &str) -> Problem {
    core.sign_in().note_refused();
    Problem::rejected(axum::http::StatusCode::FORBIDDEN, why.to_owned())
}

/// The provider's failures are told in the log; people cannot do anything about them.
fn unhelpful(failure: &Failure) -> Problem {
    tracing::warn!(
        error = failure as &dyn std::error::Error,
        "the identity provider was of no help"
    );
    Problem::unavailable("the identity provider was of no help; the collector's log tells why")
}
