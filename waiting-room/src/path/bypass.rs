//! Bypass rules: requests that need not wait, by path, method, header, address and crawler. A rule names at least one of
//! them, and everything it names must hold. A crawler's name alone is no proof of one: it takes addresses beside it.

use std::net::IpAddr;

use http::header::USER_AGENT;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use subtle::ConstantTimeEq;

use super::CanonicalPath;
use super::open::Rule;
use crate::settings::{BypassRule, CrawlersGet, Network};

/// Fewer letters would be found in the user agent of every browser.
const CRAWLER_BYTES_MIN: usize = 3;

/// What a bypass rule looks at.
pub(crate) struct Seen<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a CanonicalPath,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) address: IpAddr,
}

#[derive(Debug, Clone)]
pub(super) struct Bypass {
    path: Option<Rule>,
    header: Option<(HeaderName, HeaderValue)>,
    networks: Vec<Network>,
    /// In small letters.
    crawler: Option<String>,
    crawlers_get: CrawlersGet,
}

/// What becomes of a request that need not wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bypassed {
    Passes,
    /// A crawler that is asked to come later.
    Later,
}

impl Bypass {
    pub(super) fn parse(rule: &BypassRule) -> Result<Bypass, &'static str> {
        if rule.path.is_none() && rule.header.is_none() && rule.addresses.is_empty() && rule.crawler.is_none() {
            return Err("a bypass rule names a path, a header, a crawler or addresses");
        }
        if rule.header_file.is_some() {
            return Err("the file of a header was not read");
        }
        match &rule.crawler {
            Some(crawler) if crawler.trim().len() < CRAWLER_BYTES_MIN => {
                return Err("a crawler is named by at least three letters of its user agent");
            }
            Some(_) if rule.addresses.is_empty() => {
                return Err("a crawler needs its addresses beside it: anybody can call themselves so");
            }
            None if rule.crawlers_get != CrawlersGet::Page => {
                return Err("`crawlers_get` is for a rule with a crawler");
            }
            Some(_) | None => {}
        }
        Ok(Bypass {
            path: rule.path.as_deref().map(Rule::parse).transpose()?,
            header: rule.header.as_deref().map(header).transpose()?,
            networks: rule.networks()?,
            crawler: rule.crawler.as_ref().map(|crawler| crawler.trim().to_ascii_lowercase()),
            crawlers_get: rule.crawlers_get,
        })
    }

    /// What becomes of what it covers.
    pub(super) fn outcome(&self) -> Bypassed {
        match self.crawlers_get {
            CrawlersGet::Page => Bypassed::Passes,
            CrawlersGet::Later => Bypassed::Later,
        }
    }

    pub(super) fn covers(&self, seen: &Seen<'_>) -> bool {
        let path = |rule: &Rule| seen.path.plain && rule.covers(seen.method, seen.path);
        // Compared in constant time: the value may be a secret.
        let header = |(name, value): &(HeaderName, HeaderValue)| {
            let mut given = seen.headers.get_all(name).iter();
            let one = given.next().filter(|_| given.next().is_none());
            one.is_some_and(|given| bool::from(given.as_bytes().ct_eq(value.as_bytes())))
        };
        let crawler = |name: &String| {
            let agent = seen.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
            agent.is_some_and(|agent| agent.to_ascii_lowercase().contains(name))
        };
        self.path.as_ref().is_none_or(path)
            && self.crawler.as_ref().is_none_or(crawler)
            && self.header.as_ref().is_none_or(header)
            && (self.networks.is_empty() || self.networks.iter().any(|network| network.contains(seen.address)))
    }
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
    const MEANT: &str = "a header is written `name: value`";
    let (name, value) = text.split_once(':').ok_or(MEANT)?;
    let name = HeaderName::try_from(name.trim()).map_err(|_| MEANT)?;
    let value = HeaderValue::from_str(value.trim()).map_err(|_| MEANT)?;
    if value.is_empty() { Err(MEANT) } else { Ok((name, value)) }
}

#[cfg(test)]
mod tests {
    use http::uri::PathAndQuery;

    use super::*;

    fn covers(rule: &BypassRule, path: &str, headers: &[(&'static str, &'static str)], address: &str) -> bool {
        let path = CanonicalPath::parse(&PathAndQuery::try_from(path).unwrap()).unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        let seen = Seen { method: &Method::GET, path: &path, headers: &map, address: address.parse().unwrap() };
        Bypass::parse(rule).unwrap().covers(&seen)
    }

    #[test]
    fn everything_that_is_named_must_hold() {
        let rule = BypassRule {
            path: Some("GET /health/**".to_owned()),
            header: Some("X-Monitor: s3cret".to_owned()),
            addresses: vec!["10.0.0.0/8".to_owned(), "2001:db8::/32".to_owned()],
            ..BypassRule::default()
        };
        let good = [("x-monitor", "s3cret")];
        assert!(covers(&rule, "/health/db", &good, "10.1.2.3"));
        assert!(covers(&rule, "/health/db", &good, "2001:db8::1"));
        assert!(!covers(&rule, "/other", &good, "10.1.2.3"));
        assert!(!covers(&rule, "/health/db", &good, "11.1.2.3"));
        for bad in [&[][..], &[("x-monitor", "s3cre")], &[("x-monitor", "s3cret"), ("x-monitor", "s3cret")]] {
            assert!(!covers(&rule, "/health/db", bad, "10.1.2.3"));
        }
        assert!(!covers(&rule, "/health/%C3%A9", &good, "10.1.2.3"), "text outside ASCII");
    }

    #[test]
    fn a_crawler_is_its_name_and_its_addresses() {
        let rule = BypassRule {
            crawler: Some("GoogleBot".to_owned()),
            addresses: vec!["66.249.64.0/19".to_owned()],
            ..BypassRule::default()
        };
        let bot = [("user-agent", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)")];
        assert!(covers(&rule, "/films", &bot, "66.249.66.1"));
        assert!(!covers(&rule, "/films", &bot, "203.0.113.1"), "anybody can say so");
        assert!(!covers(&rule, "/films", &[("user-agent", "Mozilla/5.0")], "66.249.66.1"));
        assert!(!covers(&rule, "/films", &[], "66.249.66.1"));
        for (crawler, addresses, crawlers_get) in [
            (Some("googlebot"), &[][..], CrawlersGet::Page),
            (Some("  a"), &["10.0.0.0/8"], CrawlersGet::Page),
            (None, &["10.0.0.0/8"], CrawlersGet::Later),
        ] {
            let addresses = addresses.iter().map(|&text| text.to_owned()).collect();
            let crawler = crawler.map(str::to_owned);
            let rule = BypassRule { crawler, addresses, crawlers_get, ..BypassRule::default() };
            assert!(Bypass::parse(&rule).is_err(), "{rule:?}");
        }
        let unread = BypassRule { header_file: Some("secret".into()), ..rule };
        assert!(Bypass::parse(&unread).is_err());
    }

    #[test]
    fn a_rule_without_conditions_is_refused() {
        assert!(Bypass::parse(&BypassRule::default()).is_err());
        for header in ["", "x", ":", "x:", "a b: c"] {
            assert!(Bypass::parse(&BypassRule { header: Some(header.to_owned()), ..BypassRule::default() }).is_err());
        }
        assert!(Bypass::parse(&BypassRule { addresses: vec!["10".to_owned()], ..BypassRule::default() }).is_err());
    }
}
