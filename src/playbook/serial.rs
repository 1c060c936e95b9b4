//! The size of a batch: one entry of `serial`.

/// How many hosts a batch has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BatchSize {
    /// This many; nothing means all.
    Hosts(usize),
    /// This part of all hosts.
    Percent(f64),
}

impl BatchSize {
    /// Parses a number or a percentage. Negative numbers mean all hosts, as in Ansible.
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim().strip_suffix('%') {
            Some(percent) => {
                let percent: f64 = percent.trim().parse().ok()?;
                percent.is_finite().then_some(BatchSize::Percent(percent))
            }
            None => text
                .trim()
                .parse::<i64>()
                .ok()
                .map(|count| BatchSize::Hosts(usize::try_from(count).unwrap_or(0))),
        }
    }

    /// Returns the number of hosts out of `all`; a part of them is at least one.
    pub fn of(self, all: usize) -> usize {
        match self {
            BatchSize::Hosts(0) => all,
            BatchSize::Hosts(count) => count,
            BatchSize::Percent(percent) => ((percent / 100.0 * all as f64) as usize).max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::BatchSize;

    #[test]
    fn sizes() {
        let check = |text: &str, of_ten: Option<usize>| {
            assert_eq!(BatchSize::parse(text).map(|size| size.of(10)), of_ten, "{text}");
        };
        check("3", Some(3));
        check(" 30% ", Some(3));
        check("1%", Some(1));
        check("0", Some(10));
        check("-1", Some(10));
        check("many", None);
        check("%", None);
        check("nan%", None);
        check("", None);
    }
}
