//! What the architecture allows, as data that the test in `tests/architecture.rs` holds the
//! workspace to. A new arrow or an exception is added here, in a commit of its own, with its reason.

/// Which of our own crates a crate may depend on (tests' dependencies aside). Arrows point down
/// only: a crate names no crate that stands after it in this table.
pub const ARROWS: &[(&str, &[&str])] = &[
    // Layer 0, pure.
    ("busyhour-model", &[]),
    ("busyhour-wire", &["busyhour-model"]),
    ("busyhour-probe", &["busyhour-model", "busyhour-wire"]),
    ("busyhour-delivery", &["busyhour-model"]),
    ("busyhour-detect", &["busyhour-model"]),
    ("busyhour-chart", &["busyhour-model"]),
    ("busyhour-sim", &["busyhour-model"]),
    // Layer 1, boundaries.
    ("busyhour-net", &["busyhour-model"]),
    ("busyhour-host", &["busyhour-model"]),
    ("busyhour-proto", &["busyhour-model"]),
    ("busyhour-store", &["busyhour-model"]),
    ("busyhour-daemon", &[]),
    // Layer 2, features.
    (
        "busyhour-agent",
        &[
            "busyhour-model",
            "busyhour-wire",
            "busyhour-probe",
            "busyhour-delivery",
            "busyhour-net",
            "busyhour-host",
            "busyhour-proto",
            "busyhour-daemon",
        ],
    ),
    // Whose certificate it is and whether it may is asked by the door and by the API.
    ("busyhour-fleet", &["busyhour-model", "busyhour-proto", "busyhour-store"]),
    (
        "busyhour-ingest",
        &[
            "busyhour-model",
            "busyhour-delivery",
            "busyhour-proto",
            "busyhour-store",
            "busyhour-fleet",
        ],
    ),
    ("busyhour-judge", &["busyhour-model", "busyhour-detect", "busyhour-store"]),
    // Reports are mailed and shown; both take them from here.
    ("busyhour-report", &["busyhour-model", "busyhour-store", "busyhour-chart"]),
    ("busyhour-notify", &["busyhour-model", "busyhour-store", "busyhour-daemon"]),
    // The call estimate is probe arithmetic and is shown where windows are.
    (
        "busyhour-api",
        &[
            "busyhour-model",
            "busyhour-store",
            "busyhour-fleet",
            // The query service's messages.
            "busyhour-proto",
            "busyhour-chart",
            "busyhour-report",
        ],
    ),
    // Layer 3, composition.
    (
        "busyhour-collector",
        &[
            "busyhour-model",
            "busyhour-daemon",
            "busyhour-store",
            "busyhour-fleet",
            "busyhour-ingest",
            "busyhour-judge",
            "busyhour-notify",
            // Reports go by mail.
            "busyhour-report",
            "busyhour-api",
        ],
    ),
    (
        "busyhour-cli",
        &[
            "busyhour-model",
            // `busyhour decode` explains captured packets.
            "busyhour-wire",
            "busyhour-delivery",
            // `busyhour detect` judges fleets that no collector knows.
            "busyhour-detect",
            "busyhour-sim",
            "busyhour-proto",
            "busyhour-daemon",
            "busyhour-agent",
            "busyhour-collector",
        ],
    ),
    // Test crates.
    ("testkit", &[]),
    ("arch", &[]),
    // What an agent sealed is compared with what lies in the store.
    ("e2e", &["busyhour-model", "busyhour-store"]),
    ("lab", &["testkit", "e2e"]),
    ("powerloss", &["busyhour-model", "busyhour-store"]),
    // The benchmark: what the generator makes, told by the detector, scored.
    ("detection", &["busyhour-model", "busyhour-detect", "busyhour-sim"]),
];

/// The longest chain of arrows. The shell's program stands above everything, as `demo` links the
/// collector; four arrows are below that.
pub const MAX_DEPTH: usize = 5;

/// Crates that decide and never act.
pub const PURE: &[&str] = &[
    "busyhour-model",
    "busyhour-wire",
    "busyhour-probe",
    "busyhour-delivery",
    "busyhour-detect",
    "busyhour-chart",
    "busyhour-sim",
];

/// What pure crates never name.
pub const IMPURE_DEPENDENCIES: &[&str] =
    &["tokio", "tonic", "prost", "serde", "rusqlite", "socket2", "tracing-subscriber"];

/// External crates that only these crates may name.
pub const RESERVED: &[(&str, &[&str])] = &[
    // A disk that loses power is a file system of SQLite's.
    ("rusqlite", &["busyhour-store", "busyhour-agent", "e2e", "powerloss"]),
    // The lab's tap reads frames with the kernel's times.
    ("socket2", &["busyhour-net", "busyhour-host", "lab"]),
    // The lab enters namespaces, and its wire is a TUN device.
    ("nix", &["busyhour-net", "busyhour-host", "lab"]),
    ("libc", &["busyhour-net", "busyhour-host", "lab", "powerloss"]),
    ("lettre", &["busyhour-notify"]),
    ("axum", &["busyhour-api", "busyhour-collector"]),
    // The query service beside the page.
    ("tonic-health", &["busyhour-api"]),
    ("tonic-reflection", &["busyhour-api"]),
    ("config", &["busyhour-daemon"]),
    // Passwords are computed where one signs in, and typed where one asks from a shell; the collector's own
    // command sets an administrator's when nobody can sign in.
    ("argon2", &["busyhour-api"]),
    ("rpassword", &["busyhour-cli", "busyhour-collector"]),
    // The signatures of an identity provider's tokens. Everything else takes ring through rustls and rcgen.
    ("ring", &["busyhour-api"]),
    // Foreign and generated fleets are large text files.
    ("zstd", &["busyhour-cli"]),
    ("anyhow", &["busyhour-agent", "busyhour-collector", "busyhour-cli"]),
];

/// Crates that may contain `unsafe` code: the boundaries, the lab for its TUN device, the end-to-end
/// benchmarks for the bare loops that they measure against, and the disk that loses power, as a file
/// system of SQLite is a table of C functions.
pub const UNSAFE: &[&str] = &["busyhour-net", "busyhour-host", "lab", "e2e", "powerloss"];

/// Crates that may ask which operating system they run on.
pub const PLATFORM: &[&str] = &["busyhour-net", "busyhour-host", "busyhour-daemon"];

/// The longest Rust file, in lines, tests in the file included.
pub const MAX_FILE_LINES: usize = 700;

/// Longer files, each with its reason.
pub const LONG_FILES: &[(&str, &str)] = &[];
