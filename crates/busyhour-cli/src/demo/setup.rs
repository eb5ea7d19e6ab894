//! Starts the demonstration's processes and lets its agents in.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use busyhour_sim::Fleet;
use serde_json::{Value, json};

use super::processes::{Process, data_dir, toml_string};
use crate::client::Client;
use crate::simulate::{self, Credentials, Loader};

/// The building that this machine stands for: the loopback prefix.
const OWN_BUILDING: &str = "This machine";
const OWN_PREFIX: &str = "127.0.0.0/8";

/// What runs.
pub(super) struct Running {
    /// The page's address.
    pub(super) page: String,
    /// Ready to deliver for the simulated agents.
    pub(super) loader: Loader,
}

/// Starts the collector, two reflectors and the agent; imports the buildings; lets the simulated
/// agents in.
///
/// # Errors
/// When a process does not start, or the collector refuses something.
pub(super) async fn start(
    port: u16,
    place: &Path,
    fleet: &Fleet,
    processes: &mut Vec<Process>,
) -> anyhow::Result<Running> {
    let collector = place.join("collector");
    let alerts = place.join("alerts");
    fs::create_dir_all(&alerts).context("create the folder for alerts")?;
    let config = collector_config(&collector, &alerts, port);
    processes.push(Process::start("collector", "collector", collector, &config)?);
    let addresses = last(processes)?.addresses().await?;
    let page = format!("http://{}", address(&addresses, "api")?);
    let ingest = format!("http://{}", address(&addresses, "ingest")?);

    let mut targets = Vec::new();
    for name in ["first reflector", "second reflector"] {
        let folder = place.join(name.replace(' ', "-"));
        let config = reflector_config(&folder);
        processes.push(Process::start(name, "agent", folder, &config)?);
        let addresses = last(processes)?.addresses().await?;
        let reflector = addresses["reflector"][0].as_str();
        targets.push(reflector.context("the reflector does not say where it listens")?.to_owned());
    }

    let (client, fleet_copy) = (Client::without_session(&page)?, fleet.clone());
    let admitting = tokio::task::spawn_blocking(move || admit(&client, &fleet_copy));
    let (own_secret, simulated) = admitting.await??;
    let folder = place.join("agent");
    fs::create_dir_all(&folder).context("create the agent's folder")?;
    let secret = folder.join("secret");
    crate::agents::write_secret_file(&secret, &own_secret)?;
    let config = agent_config(&folder, &ingest, &secret, &targets);
    processes.push(Process::start("agent", "agent", folder, &config)?);

    let loader = Loader::new(ingest, fleet.clone(), simulated)?;
    Ok(Running { page, loader })
}

fn last(processes: &mut [Process]) -> anyhow::Result<&mut Process> {
    processes.last_mut().context("no process was started")
}

fn address<'a>(addresses: &'a Value, of: &str) -> anyhow::Result<&'a str> {
    addresses[of].as_str().with_context(|| format!("the collector does not say where {of} is"))
}

/// Imports the buildings and lets the agents in; the secrets of this machine's agent and of the
/// simulated ones.
fn admit(client: &Client, fleet: &Fleet) -> anyhow::Result<(String, HashMap<String, Credentials>)> {
    let zone = jiff::tz::TimeZone::system();
    let zone = zone.iana_name().unwrap_or("UTC");
    let own_row = format!("127.0.0.0,Loopback,8,{OWN_BUILDING},,,,,,,,,1,0,0\r\n");
    let own_companion = format!("{OWN_BUILDING},{zone},Mo-Su 00:00-24:00\r\n");
    simulate::import_buildings(
        client,
        &format!("{}{own_row}", fleet.building_file),
        &format!("{}{own_companion}", fleet.companion),
    )?;
    let own = json!({ "name": "this-machine", "subnet": OWN_PREFIX });
    let own_secret = simulate::add_agent(client, &own)?;
    Ok((own_secret, simulate::add_agents(client, fleet, true)?))
}

fn collector_config(folder: &Path, alerts: &Path, port: u16) -> String {
    format!(
        "[collector]\ndata_dir = {data}\n\
         [ingest]\nlisten = \"127.0.0.1:0\"\n\
         [api]\nlisten = \"127.0.0.1:{port}\"\n\
         [judge]\ninterval = \"2s\"\nsettle = \"0s\"\n\
         [[channel]]\nname = \"alerts\"\nkind = \"file\"\nfolder = {alerts}\n\
         [log]\nlevel = \"info\"\n",
        data = data_dir(folder),
        alerts = toml_string(&alerts.to_string_lossy()),
    )
}

fn reflector_config(folder: &Path) -> String {
    format!("[agent]\ndata_dir = {}\n[reflector]\nlisten = [\"127.0.0.1:0\"]\n", data_dir(folder))
}

fn agent_config(folder: &Path, ingest: &str, secret: &Path, targets: &[String]) -> String {
    let mut config = format!(
        "[agent]\ndata_dir = {}\nsecret_file = {}\n[collector]\nurl = {}\n",
        data_dir(folder),
        toml_string(&secret.to_string_lossy()),
        toml_string(ingest),
    );
    for target in targets {
        config.push_str(&format!(
            "[[target]]\nname = {}\nschedule = \"continuous\"\n",
            toml_string(target)
        ));
    }
    config
}
