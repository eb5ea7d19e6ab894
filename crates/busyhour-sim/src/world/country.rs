//! Where buildings stand: cities with their zones, weeks and public holidays.

use jiff::civil::Date;

/// A country, or the part of one that keeps the same holidays.
#[derive(Debug)]
pub(crate) struct Country {
    /// Two letters.
    pub(crate) code: &'static str,
    /// Its cities, each with its zone.
    pub(crate) cities: &'static [(&'static str, &'static str)],
    /// Offices work from Sunday to Thursday.
    pub(crate) sunday_to_thursday: bool,
    /// Public holidays of 2025, as month and day.
    holidays: &'static [(i8, i8)],
}

/// The year whose holidays are known.
const YEAR: i16 = 2025;

impl Country {
    /// Its public holidays within some days.
    pub(crate) fn holidays(&self, first: Date, last: Date) -> impl Iterator<Item = Date> + '_ {
        let dates = self.holidays.iter();
        let dates = dates.filter_map(|&(month, day)| Date::new(YEAR, month, day).ok());
        dates.filter(move |date| (first..=last).contains(date))
    }
}

/// Countries, from calendars published by their governments for 2025. Several have days on which
/// clocks change between February and May: the United States on 9 March, Israel on 28 March,
/// Europe on 30 March, and New South Wales (back) on 6 April.
pub(crate) const COUNTRIES: [Country; 10] = [
    Country {
        code: "DE",
        cities: &[
            ("Berlin", "Europe/Berlin"),
            ("Hamburg", "Europe/Berlin"),
            ("München", "Europe/Berlin"),
            ("Leipzig", "Europe/Berlin"),
        ],
        sunday_to_thursday: false,
        holidays: &[(1, 1), (4, 18), (4, 21), (5, 1), (5, 29), (6, 9), (10, 3), (12, 25), (12, 26)],
    },
    Country {
        code: "GB",
        cities: &[
            ("London", "Europe/London"),
            ("Leeds", "Europe/London"),
            ("Bristol", "Europe/London"),
        ],
        sunday_to_thursday: false,
        holidays: &[(1, 1), (4, 18), (4, 21), (5, 5), (5, 26), (8, 25), (12, 25), (12, 26)],
    },
    Country {
        code: "US",
        cities: &[
            ("New York", "America/New_York"),
            ("Atlanta", "America/New_York"),
            ("Chicago", "America/Chicago"),
            ("Dallas", "America/Chicago"),
        ],
        sunday_to_thursday: false,
        holidays: &[
            (1, 1),
            (1, 20),
            (2, 17),
            (5, 26),
            (6, 19),
            (7, 4),
            (9, 1),
            (10, 13),
            (11, 11),
            (11, 27),
            (12, 25),
        ],
    },
    Country {
        code: "US",
        cities: &[
            ("Seattle", "America/Los_Angeles"),
            ("Portland", "America/Los_Angeles"),
            ("Denver", "America/Denver"),
            ("Phoenix", "America/Phoenix"),
        ],
        sunday_to_thursday: false,
        holidays: &[(1, 1), (2, 17), (5, 26), (6, 19), (7, 4), (9, 1), (11, 27), (12, 25)],
    },
    Country {
        code: "IN",
        cities: &[
            ("Bengaluru", "Asia/Kolkata"),
            ("Pune", "Asia/Kolkata"),
            ("Hyderabad", "Asia/Kolkata"),
        ],
        sunday_to_thursday: false,
        holidays: &[
            (1, 26),
            (2, 26),
            (3, 14),
            (3, 31),
            (4, 10),
            (4, 18),
            (5, 12),
            (8, 15),
            (10, 2),
            (10, 20),
            (12, 25),
        ],
    },
    Country {
        code: "IL",
        cities: &[("Haifa", "Asia/Jerusalem"), ("Herzliya", "Asia/Jerusalem")],
        sunday_to_thursday: true,
        holidays: &[(4, 13), (4, 19), (5, 1), (6, 2), (9, 23), (9, 24), (10, 2), (10, 7), (10, 14)],
    },
    Country {
        code: "SA",
        cities: &[("Riyadh", "Asia/Riyadh"), ("Jeddah", "Asia/Riyadh")],
        sunday_to_thursday: true,
        holidays: &[(2, 23), (3, 30), (3, 31), (4, 1), (4, 2), (6, 5), (6, 8), (6, 9), (9, 23)],
    },
    Country {
        code: "AU",
        cities: &[
            ("Sydney", "Australia/Sydney"),
            ("Newcastle", "Australia/Sydney"),
            ("Brisbane", "Australia/Brisbane"),
        ],
        sunday_to_thursday: false,
        holidays: &[
            (1, 1),
            (1, 27),
            (4, 18),
            (4, 21),
            (4, 25),
            (6, 9),
            (10, 6),
            (12, 25),
            (12, 26),
        ],
    },
    Country {
        code: "BR",
        cities: &[("São Paulo", "America/Sao_Paulo"), ("Recife", "America/Recife")],
        sunday_to_thursday: false,
        holidays: &[(1, 1), (3, 3), (3, 4), (4, 18), (4, 21), (5, 1), (6, 19), (9, 7), (12, 25)],
    },
    Country {
        code: "JP",
        cities: &[("Tokyo", "Asia/Tokyo"), ("Osaka", "Asia/Tokyo")],
        sunday_to_thursday: false,
        holidays: &[
            (1, 1),
            (1, 13),
            (2, 11),
            (2, 24),
            (3, 20),
            (4, 29),
            (5, 5),
            (5, 6),
            (7, 21),
            (8, 11),
            (9, 15),
            (9, 23),
            (10, 13),
            (11, 3),
            (11, 24),
        ],
    },
];

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn every_zone_and_every_holiday_exists() {
        for country in &COUNTRIES {
            for (city, zone) in country.cities {
                assert!(TimeZone::get(zone).is_ok(), "{city}");
            }
            let days = country.holidays(date(2025, 1, 1), date(2025, 12, 31));
            assert_eq!(days.count(), country.holidays.len(), "{}", country.code);
        }
    }

    #[test]
    fn only_holidays_within_the_days_are_told() {
        let easter = COUNTRIES[0].holidays(date(2025, 4, 1), date(2025, 4, 30));
        assert_eq!(easter.collect::<Vec<_>>(), [date(2025, 4, 18), date(2025, 4, 21)]);
    }
}
