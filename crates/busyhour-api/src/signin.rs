//! Signing in: a name and a password, a session that lies here, tries that run out.

pub(crate) mod credential;
pub(crate) mod door;
pub(crate) mod limiter;
pub(crate) mod pages;
pub(crate) mod password;
pub(crate) mod provider;

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use busyhour_model::UtcMicros;
use busyhour_store::{
    AccountName, Act, Actor, ErrorKind, Grant, NewSession, NewUser, UserNo, UserRow,
};
use tokio::sync::Semaphore;

use self::limiter::{Key, Limiter};
use crate::app::{Core, Figure};
use crate::problem::Problem;

/// A session ends after this long, whatever happens: a working day.
pub(crate) const SESSION: Duration = Duration::from_secs(12 * 3_600);
/// Passwords computed at once: each takes 19 MiB and a processor for some tens of milliseconds.
pub(crate) const MAX_HASHES: usize = 2;

/// What signing in remembers between requests.
pub(crate) struct SignIn {
    /// Held for a few look-ups, never while something is waited for.
    limiter: Mutex<Limiter>,
    hashes: Arc<Semaphore>,
    signed_in: AtomicU64,
    refused: AtomicU64,
    limited: AtomicU64,
}

impl Default for SignIn {
    fn default() -> Self {
        Self {
            limiter: Mutex::default(),
            hashes: Arc::new(Semaphore::new(MAX_HASHES)),
            signed_in: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            limited: AtomicU64::new(0),
        }
    }
}

/// A session that has begun. The token goes to whoever signed in, and nowhere else.
pub(crate) struct Begun {
    pub(crate) token: String,
    pub(crate) expires: UtcMicros,
    pub(crate) user: UserRow,
}

impl SignIn {
    /// What is counted here.
    pub(crate) fn figures(&self) -> [Figure; 3] {
        let figure = |name: &str, count: &AtomicU64, help| Figure {
            name: name.to_owned(),
            value: i64::try_from(count.load(Ordering::Relaxed)).unwrap_or(i64::MAX),
            help,
        };
        [
            figure("sign_ins_total", &self.signed_in, "users that signed in"),
            figure(
                "sign_ins_refused_total",
                &self.refused,
                "names, passwords or codes that were wrong",
            ),
            figure("sign_ins_limited_total", &self.limited, "tries to sign in that came too fast"),
        ]
    }

    /// Takes a try, or tells how long to wait for one.
    fn take(&self, keys: &[Key]) -> Result<(), Problem> {
        let taken = self.limiter().take(keys, Instant::now());
        taken.map_err(|wait| {
            self.limited.fetch_add(1, Ordering::Relaxed);
            Problem::too_many_requests(wait)
        })
    }

    fn limiter(&self) -> std::sync::MutexGuard<'_, Limiter> {
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        // Who it was, and from where, is for nobody who reads a log.
        tracing::warn!("a try to sign in was refused");
    }

    /// Computes a password off the runtime's threads, with others waiting.
    async fn compute<T: Send + 'static>(
        &self,
        computation: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let stopping = |_| Problem::unavailable("the collector is stopping");
        let permit = Arc::clone(&self.hashes).acquire_owned().await.map_err(stopping)?;
        let computed = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            computation()
        });
        computed.await.map_err(|_| Problem::internal())
    }
}

/// Begins a session for who knows a name and its password.
pub(crate) async fn sign_in(
    core: &Core,
    peer: IpAddr,
    name: String,
    password: String,
) -> Result<Begun, Problem> {
    let keys = [Key::address(peer), Key::name(&name)];
    core.sign_in().take(&keys)?;
    let found = core.with_services(move |services| Ok(services.accounts.user_password(&name)?));
    let found = found.await?;
    // Whom an identity provider proves has none.
    let kept = found.as_ref().map(|(_, kept)| kept.clone()).filter(|kept| !kept.is_empty());
    let check = move || password::verify(&password, kept.as_deref());
    let right = core.sign_in().compute(check).await?;
    let Some((user, _)) = found.filter(|_| right) else {
        core.sign_in().note_refused();
        return Err(Problem::wrong_password());
    };
    core.sign_in().limiter().give_back(&keys);
    begin(core, peer, user).await
}

async fn begin(core: &Core, peer: IpAddr, user: UserRow) -> Result<Begun, Problem> {
    let token = credential::draw(credential::SESSION_PREFIX)?;
    let now = core.now();
    let expires = now.plus(SESSION);
    let session = NewSession {
        token_sha256: credential::digest(&token),
        user: user.number,
        expires,
        peer: peer.to_canonical(),
    };
    let actor = Actor::new(user.name.as_str()).map_err(|_| Problem::internal())?;
    let by = Act { at: now, actor };
    core.with_services(move |services| Ok(services.accounts.begin_session(&session, &by)?)).await?;
    core.sign_in().signed_in.fetch_add(1, Ordering::Relaxed);
    Ok(Begun { token, expires, user })
}

/// Makes the first administrator for who knows the code, and begins a session.
pub(crate) async fn set_up(
    core: &Core,
    peer: IpAddr,
    (code, name, password): (String, String, String),
) -> Result<Begun, Problem> {
    if core.has_administrator().await? {
        return Err(Problem::not_found("the collector is set up"));
    }
    let keys = [Key::address(peer)];
    core.sign_in().take(&keys)?;
    if !core.door().set_up().is_code(&code) {
        core.sign_in().note_refused();
        let detail = "this is not the code that the collector printed when it started";
        return Err(Problem::unprocessable(detail, Vec::new()));
    }
    core.sign_in().limiter().give_back(&keys);
    let user = new_user(core, &name, password, Grant::administrator()).await?;
    let by = Act::by_operator(core.now());
    let row = core.with_services(move |services| {
        services.accounts.add_first_administrator(&user, &by).map_err(|error| {
            if error.kind() == ErrorKind::Conflict {
                return Problem::conflict("there is an administrator, or the name is taken");
            }
            error.into()
        })?;
        Ok(services.accounts.user_password(user.name.as_str())?)
    });
    let (row, _) = row.await?.ok_or_else(Problem::internal)?;
    tracing::info!("the first administrator was made; from now on everybody signs in");
    let begun = begin(core, peer, row).await?;
    core.door().set_up().finish();
    Ok(begun)
}

/// A user with a password that can be taken.
pub(crate) async fn new_user(
    core: &Core,
    name: &str,
    password: String,
    grant: Grant,
) -> Result<NewUser, Problem> {
    let name = account_name(name)?;
    password::check_new(&password, name.as_str())?;
    let password_hash = core.sign_in().compute(move || password::hash(&password)).await??;
    Ok(NewUser { name, password_hash, grant })
}

/// Reads a name.
pub(crate) fn account_name(text: &str) -> Result<AccountName, Problem> {
    AccountName::new(text.trim())
        .map_err(|error| Problem::unprocessable(error.to_string(), Vec::new()))
}

/// Gives a user another password; of its sessions `keep` stays.
pub(crate) async fn set_password(
    core: &Core,
    (user, name): (UserNo, &AccountName),
    password: String,
    (keep, by): (Option<[u8; 32]>, Act),
) -> Result<(), Problem> {
    password::check_new(&password, name.as_str())?;
    let kept = core.sign_in().compute(move || password::hash(&password)).await??;
    let set = core.with_services(move |services| {
        Ok(services.accounts.set_password(user, &kept, keep.as_ref(), &by)?)
    });
    set.await
}

/// Gives oneself another password, for who knows the one of now; other sessions end.
pub(crate) async fn change_own_password(
    core: &Core,
    peer: IpAddr,
    principal: &crate::guard::Principal,
    (old, new): (String, String),
) -> Result<(), Problem> {
    let crate::guard::Who::User(number, name) = &principal.who else {
        return Err(Problem::conflict("only a user has a password"));
    };
    if principal.is_proven {
        return Err(Problem::conflict("you sign in with an identity provider, without a password"));
    }
    let keys = [Key::address(peer), Key::name(name.as_str())];
    core.sign_in().take(&keys)?;
    let asked = name.to_string();
    let found = core.with_services(move |services| Ok(services.accounts.user_password(&asked)?));
    let kept = found.await?.map(|(_, kept)| kept);
    let right = core.sign_in().compute(move || password::verify(&old, kept.as_deref())).await?;
    if !right {
        core.sign_in().note_refused();
        return Err(Problem::unprocessable("this is not the password of now", Vec::new()));
    }
    core.sign_in().limiter().give_back(&keys);
    let keep = principal.session.as_ref().map(|session| session.token_sha256);
    set_password(core, (*number, name), new, (keep, principal.act(core.now()))).await
}
