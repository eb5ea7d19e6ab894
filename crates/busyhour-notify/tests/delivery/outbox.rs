//! A real store with something to tell in it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use busyhour_model::{
    Breach, BuildingId, Cause, Change, DailyAverage, Evidence, FileBuilding, FileSubnet,
    FindingKind, Incident, IncidentId, IncidentMember, IncidentPlace, IncidentState, Judgement,
    Mechanism, NetworkColumns, PathId, Segment, Siblings, UtcMicros, WorstHour,
};
use busyhour_notify::Stores;
use busyhour_store::{
    Act, ChannelRow, ChannelTest, Control as _, Delivery, DeliveryOutcome, ErrorKind, Fate,
    IncidentEvent, JudgeWrite, Outbox, Retention, SqliteControl, StoreError, Untold,
};
use jiff::civil::date;

/// When everything in these tests begins: 2026-03-05T08:40:00Z.
pub(crate) const NOW: UtcMicros = UtcMicros(1_772_700_000_000_000);

pub(crate) fn open(directory: &Path) -> Arc<SqliteControl> {
    let retention = Retention {
        windows_days: 14,
        slots_days: 400,
        hours_days: 400,
        checks_days: 90,
        facts_days: 90,
        loads_days: 90,
        gaps_days: 90,
    };
    let (_, control) = busyhour_store::open(directory, retention).unwrap();
    Arc::new(control)
}

/// A store that knows one building.
pub(crate) fn with_building(directory: &Path) -> (Arc<SqliteControl>, BuildingId) {
    let control = open(directory);
    let columns = NetworkColumns {
        network_name: "Floor 3".to_owned(),
        ownership_type: String::new(),
        building_type: String::new(),
        building_office_type: String::new(),
        city: "Berlin".to_owned(),
        zip_code: String::new(),
        country: "DE".to_owned(),
        state: String::new(),
        region: "EMEA".to_owned(),
        inside_corp: true,
        express_route: false,
        vpn: false,
    };
    let file = FileBuilding {
        name: "Berlin HQ".to_owned(),
        city: "Berlin".to_owned(),
        country: "DE".to_owned(),
        region: "EMEA".to_owned(),
        time_zone: Some("Europe/Berlin".to_owned()),
        business_hours: Some("Mo-Fr 08:00-18:00".parse().unwrap()),
        holidays: std::collections::BTreeSet::new(),
        subnets: vec![FileSubnet { prefix: "10.1.3.0/24".parse().unwrap(), egress: None, columns }],
    };
    control.import_buildings(&[file], &Act::by_operator(NOW)).unwrap();
    let building = control.buildings().unwrap()[0].id;
    (control, building)
}

/// Opens an incident in `building` and tells of it.
pub(crate) fn tell(control: &SqliteControl, building: BuildingId, number: u128, simulated: bool) {
    tell_at(control, building, number, simulated, NOW);
}

/// Closes the incident and tells of it.
pub(crate) fn close(control: &SqliteControl, number: u128) {
    close_at(control, number, NOW);
}

/// The same at a moment.
pub(crate) fn close_at(control: &SqliteControl, number: u128, now: UtcMicros) {
    let mut incident = control.incident(IncidentId::from_u128(number)).unwrap().unwrap();
    incident.state = IncidentState::Closed;
    incident.change = Change::Closed;
    incident.closed_on = Some(date(2026, 3, 4));
    incident.closed = Some(now);
    let tell = vec![(incident.id, IncidentEvent::Closed)];
    let write = JudgeWrite { incidents: vec![incident], tell, ..JudgeWrite::default() };
    control.write_judgement(&write, now).unwrap();
}

/// The clock on the wall, for servers that go by it.
pub(crate) fn utc_now() -> UtcMicros {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    UtcMicros(0).plus(since)
}

/// Opens an incident at a moment and tells of it.
pub(crate) fn tell_at(
    control: &SqliteControl,
    building: BuildingId,
    number: u128,
    simulated: bool,
    now: UtcMicros,
) {
    let id = IncidentId::from_u128(number);
    let subnet = control.subnets().unwrap()[0].id;
    let bad_days = [date(2026, 2, 26), date(2026, 3, 2), date(2026, 3, 4)];
    let incident = Incident {
        id,
        number: u64::try_from(number).unwrap(),
        kind: FindingKind::RecurringPeak,
        place: IncidentPlace::Building(building),
        segment: Segment::CustomerWan,
        building,
        members: vec![IncidentMember { path: PathId(1), building, subnet }],
        siblings: Siblings { within: 4, suffering: 4, beside: 6, ..Siblings::default() },
        hours: vec![(600, 720)],
        state: IncidentState::Open,
        change: Change::Opened,
        changed: date(2026, 3, 4),
        merged_into: None,
        stale: false,
        first_bad: date(2026, 2, 26),
        last_bad: date(2026, 3, 4),
        bad_days: bad_days.to_vec(),
        observed_days: bad_days.to_vec(),
        opened_on: Some(date(2026, 3, 4)),
        closed_on: None,
        noted: now,
        opened: Some(now),
        closed: None,
        openings: 1,
        severity: 0.31,
        confidence: 0.95,
        cause: Cause::Bandwidth,
        cause_confidence: 0.8,
        mechanism: Mechanism::Queue,
        evidence: vec![Evidence {
            cause: Cause::Bandwidth,
            weight: 2.0,
            text: "round trips rise with load".to_owned(),
        }],
        worst_hour: Some(WorstHour {
            start_minute: 615,
            valid: 120,
            bad: 37,
            dominant: Some(Breach::Loss),
            loss_ppm: 18_000,
            loss_ppm_p90: 24_000,
            rtt_us_p90: 84_000,
            jitter_us_p90: 9_400,
            bad_by: [37, 0, 0, 0, 0],
            reordered: 0,
            replies: 88_000,
            order: Judgement::Pass,
            rating_p10_hundredths: Some(6_800),
        }),
        worst_on: Some(date(2026, 3, 4)),
        average: Some(DailyAverage {
            loss_ppm: 3_100,
            rtt_us: 41_200,
            jitter_us: 4_000,
            passes: true,
        }),
        masked: true,
        masking_factor: Some(7.5),
        sentence: "Calls in Berlin HQ break up every workday from 10 to 12.".to_owned(),
        paragraph: "37 of 120 checks bad.".to_owned(),
        simulated,
    };
    let tell = vec![(id, IncidentEvent::Opened)];
    let write = JudgeWrite { incidents: vec![incident], tell, ..JudgeWrite::default() };
    control.write_judgement(&write, now).unwrap();
}

/// The parts of a store that a notifier needs.
pub(crate) fn stores(control: &Arc<SqliteControl>) -> Stores {
    Stores { control: control.clone(), desk: control.clone(), outbox: control.clone() }
}

/// An outbox that cannot note outcomes for a while, as if its disk were full.
pub(crate) struct ForgetfulOutbox {
    inner: Arc<SqliteControl>,
    failures: AtomicUsize,
    bundle_failures: AtomicUsize,
    noted: tokio::sync::Semaphore,
}

impl ForgetfulOutbox {
    pub(crate) fn new(inner: Arc<SqliteControl>, failures: usize) -> Arc<Self> {
        Arc::new(Self {
            inner,
            failures: AtomicUsize::new(failures),
            bundle_failures: AtomicUsize::new(0),
            noted: tokio::sync::Semaphore::new(0),
        })
    }

    /// How often it cannot write down from now on what is one message.
    pub(crate) fn fail_to_bundle(&self, times: usize) {
        self.bundle_failures.store(times, Ordering::SeqCst);
    }

    /// Waits until it has noted so many outcomes.
    pub(crate) async fn noted(&self, count: u32) {
        let _ = self.noted.acquire_many(count).await.unwrap();
    }
}

fn is_left(failures: &AtomicUsize) -> bool {
    let fewer = |left: usize| left.checked_sub(1);
    failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer).is_ok()
}

macro_rules! delegate {
    ($($name:ident($($arg:ident: $kind:ty),*) -> $answer:ty;)+) => {
        $(fn $name(&self, $($arg: $kind),*) -> Result<$answer, StoreError> {
            self.inner.$name($($arg),*)
        })+
    };
}

impl Outbox for ForgetfulOutbox {
    delegate! {
        register_channels(channels: &[(String, String)]) -> ();
        channels() -> Vec<ChannelRow>;
        untold(now: UtcMicros, limit: usize) -> Vec<Untold>;
        place(fates: &[(i64, Fate)]) -> ();
        due_deliveries(now: UtcMicros, limit: usize, but: &[String]) -> Vec<Delivery>;
        channel_went(channel: &str, went: Result<(), &str>, now: UtcMicros) -> ();
        standing_deliveries(channel: &str, limit: usize) -> Vec<Delivery>;
        test_channel(channel: &str, by: &Act) -> Option<i64>;
        channel_test(event: i64) -> Option<ChannelTest>;
        ask_report(name: &str, now: UtcMicros) -> bool;
    }

    fn delivered(
        &self,
        deliveries: &[i64],
        outcome: &DeliveryOutcome,
        now: UtcMicros,
    ) -> Result<(), StoreError> {
        if is_left(&self.failures) {
            return Err(StoreError::new("note a delivery", ErrorKind::Full));
        }
        self.inner.delivered(deliveries, outcome, now)?;
        self.noted.add_permits(1);
        Ok(())
    }

    fn bundle(&self, deliveries: &[i64]) -> Result<(), StoreError> {
        if is_left(&self.bundle_failures) {
            return Err(StoreError::new("bundle deliveries", ErrorKind::Full));
        }
        self.inner.bundle(deliveries)
    }
}

/// Merges the incident into another, as the engine does, and tells of it.
pub(crate) fn merge(control: &SqliteControl, number: u128, into: u64) {
    let mut incident = control.incident(IncidentId::from_u128(number)).unwrap().unwrap();
    incident.state = IncidentState::Closed;
    incident.change = Change::Merged;
    incident.merged_into = Some(into);
    incident.closed_on = Some(date(2026, 3, 4));
    incident.closed = Some(NOW);
    let tell = vec![(incident.id, IncidentEvent::Merged)];
    let write = JudgeWrite { incidents: vec![incident], tell, ..JudgeWrite::default() };
    control.write_judgement(&write, NOW).unwrap();
}
