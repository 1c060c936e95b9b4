//! `ansible_date_time`.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Sections;
use crate::value::Map;

pub fn add(sections: &Sections, facts: &mut Map) {
    let Some(line) = sections.line("date") else { return };
    let fields: Vec<&str> = line.split('|').collect();
    let [year, month, day, hour, minute, second, epoch, tz, offset, weekday, number, week] =
        fields.as_slice()
    else {
        return;
    };
    let utc = epoch
        .parse::<i64>()
        .ok()
        .and_then(|secs| Timestamp::from_second(secs).ok())
        .map(|time| time.to_zoned(TimeZone::UTC));
    let mut map = Map::new();
    map.insert("year", *year);
    map.insert("month", *month);
    map.insert("weekday", *weekday);
    map.insert("weekday_number", *number);
    map.insert("weeknumber", *week);
    map.insert("day", *day);
    map.insert("hour", *hour);
    map.insert("minute", *minute);
    map.insert("second", *second);
    map.insert("epoch", *epoch);
    map.insert("epoch_int", *epoch);
    map.insert("date", format!("{year}-{month}-{day}"));
    map.insert("time", format!("{hour}:{minute}:{second}"));
    if let Some(utc) = utc {
        map.insert("iso8601_micro", utc.strftime("%Y-%m-%dT%H:%M:%S.000000Z").to_string());
        map.insert("iso8601", utc.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    }
    map.insert("iso8601_basic", format!("{year}{month}{day}T{hour}{minute}{second}000000"));
    map.insert("iso8601_basic_short", format!("{year}{month}{day}T{hour}{minute}{second}"));
    map.insert("tz", *tz);
    map.insert("tz_dst", *tz);
    map.insert("tz_offset", *offset);
    facts.insert("ansible_date_time", map);
}
