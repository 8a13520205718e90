//! The model of policies: every rule is read from the texts of its fields and asked about every request.
//!
//! A rule says yes to a request if each of its attributes does. Any deny denies; else any allow allows; else the
//! default decides. What an allowed request has to put up with is what the most restrictive rule asks for.
//!
//! - [`Rule`] is one rule, [`Request`] what is decided, [`Policies`] a set of rules with its default;
//! - [`condition`] reads the texts of the fields and compares;
//! - [`points`] lists requests of which one stands for every other, so that a claim about all requests can be tried.

pub mod condition;
pub mod points;

use std::collections::BTreeSet;
use std::net::IpAddr;

pub use condition::{Condition, Field};

/// What a rule does, the most restrictive first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Refuses.
    Deny,
    /// Sends the request to another service.
    Redirect(String),
    /// Puts the request under a limit.
    Throttle(String),
    /// Lets an operator know.
    Alert,
    /// Is written down.
    Log,
    /// Allows.
    Allow,
}

impl Action {
    /// The action that users write as `text`.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        Some(match text.split_once(':') {
            Some(("redirect", target)) => Self::Redirect(target.to_owned()),
            Some(("throttle", limit)) => Self::Throttle(limit.to_owned()),
            Some(_) => return None,
            None => match text {
                "deny" => Self::Deny,
                "alert" => Self::Alert,
                "log" => Self::Log,
                "allow" => Self::Allow,
                _ => return None,
            },
        })
    }

    /// How it restricts, without what it names: the smaller, the more.
    #[must_use]
    pub fn rank(&self) -> usize {
        match self {
            Self::Deny => 0,
            Self::Redirect(_) => 1,
            Self::Throttle(_) => 2,
            Self::Alert => 3,
            Self::Log => 4,
            Self::Allow => 5,
        }
    }
}

/// A rule, in the texts of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// The fields of its condition that are given, each at most once.
    pub fields: Vec<(Field, String)>,
    /// What it does, as users write it.
    pub action: String,
    /// Which of two rules that restrict alike speaks: the smaller one.
    pub priority: u8,
    /// Whether it is looked at.
    pub enabled: bool,
    /// Whether it is only counted.
    pub shadow: bool,
    /// Whether a request for which it speaks is written down.
    pub audit: bool,
}

impl Rule {
    /// A rule that is in force, without a condition.
    #[must_use]
    pub fn new(name: &str, action: &str) -> Self {
        Self {
            name: name.to_owned(),
            fields: Vec::new(),
            action: action.to_owned(),
            priority: 100,
            enabled: true,
            shadow: false,
            audit: false,
        }
    }

    /// The same with one more field.
    #[must_use]
    pub fn with(mut self, field: Field, text: &str) -> Self {
        self.fields.push((field, text.to_owned()));
        self
    }

    /// Its condition.
    ///
    /// # Panics
    /// If a text is malformed.
    #[must_use]
    pub fn condition(&self) -> Condition {
        Condition::read(&self.fields).unwrap_or_else(|| panic!("a condition: {self:?}"))
    }

    /// Its action.
    ///
    /// # Panics
    /// If the text is malformed.
    #[must_use]
    pub fn effect(&self) -> Action {
        Action::read(&self.action).unwrap_or_else(|| panic!("an action: {self:?}"))
    }

    /// Whether its condition holds for some request.
    #[must_use]
    pub fn can_match(&self) -> bool {
        let condition = self.condition();
        let conditions = [&condition];
        Field::ALL.into_iter().all(|field| {
            let requests = points::of_field(&conditions, field);
            requests.iter().any(|request| condition.field_holds(field, request))
        })
    }

    /// Whether a request that it redirects would be redirected by it again.
    #[must_use]
    pub fn redirects_to_itself(&self) -> bool {
        let Action::Redirect(target) = self.effect() else { return false };
        let redirected = Request { service: Some(target), ..Request::default() };
        self.condition().field_holds(Field::Service, &redirected)
    }
}

/// How urgent a request is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the words are all there is to say")]
pub enum Class {
    Critical,
    High,
    #[default]
    Normal,
    Low,
    Batch,
}

impl Class {
    /// Every class, most urgent first.
    pub const ALL: [Self; 5] = [Self::Critical, Self::High, Self::Normal, Self::Low, Self::Batch];

    /// The word that users write.
    #[must_use]
    pub const fn word(self) -> &'static str {
        ["critical", "high", "normal", "low", "batch"][self as usize]
    }
}

/// A request, as policies see it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// The service that is called.
    pub service: Option<String>,
    /// The customer.
    pub tenant: Option<String>,
    /// What the user may act as.
    pub roles: Vec<String>,
    /// The address.
    pub ip: Option<IpAddr>,
    /// The method.
    pub method: Option<String>,
    /// The path without its query.
    pub path: Option<Vec<u8>>,
    /// Names and values, in their order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// How urgent it is.
    pub class: Class,
    /// When, in nanoseconds of UTC since 1970.
    pub wall_ns: u64,
}

/// What is decided, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether the request passes.
    pub allowed: bool,
    /// Whether neither a deny nor an allow matched.
    pub by_default: bool,
    /// The rule that speaks. None where none matches, and where the default denies.
    pub decider: Option<String>,
    /// The rules in force that match.
    pub matched: BTreeSet<String>,
    /// The rules that are only counted and match.
    pub shadow: BTreeSet<String>,
    /// Whether the request would pass if those were in force, too.
    pub would_allow: bool,
}

/// A set of rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    /// The rules.
    pub rules: Vec<Rule>,
    /// Whether what no rule denies or allows is denied.
    pub default_deny: bool,
}

impl Policies {
    /// Decides a request.
    #[must_use]
    pub fn decide(&self, request: &Request) -> Decision {
        Reader::new(self).decide(request)
    }

    /// The rule called `name`.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.name == name)
    }
}

/// A set of rules whose texts have been read, to decide many requests.
pub struct Reader<'a> {
    policies: &'a Policies,
    read: Vec<(&'a Rule, Condition, Action)>,
}

impl<'a> Reader<'a> {
    /// Reads the texts of the rules that are enabled.
    #[must_use]
    pub fn new(policies: &'a Policies) -> Self {
        let enabled = policies.rules.iter().filter(|rule| rule.enabled);
        let read = enabled.map(|rule| (rule, rule.condition(), rule.effect())).collect();
        Self { policies, read }
    }

    /// Decides a request.
    #[must_use]
    pub fn decide(&self, request: &Request) -> Decision {
        let holding: Vec<_> = self.read.iter().filter(|(_, condition, _)| condition.holds(request)).collect();
        let names = |shadow| {
            let rules = holding.iter().filter(move |(rule, ..)| rule.shadow == shadow);
            rules.map(|(rule, ..)| rule.name.clone()).collect::<BTreeSet<String>>()
        };
        let allowed_by = |with_shadow: bool| {
            let has = |wanted: &Action| {
                holding.iter().any(|(rule, _, action)| (with_shadow || !rule.shadow) && action == wanted)
            };
            match (has(&Action::Deny), has(&Action::Allow)) {
                (true, _) => (false, false),
                (false, true) => (true, false),
                (false, false) => (!self.policies.default_deny, true),
            }
        };
        let (allowed, by_default) = allowed_by(false);
        let in_force = holding.iter().filter(|(rule, ..)| !rule.shadow);
        let decider = in_force.min_by_key(|(rule, _, action)| (action.rank(), rule.priority, &rule.name));
        let decider = decider.filter(|_| allowed || !by_default).map(|(rule, ..)| rule.name.clone());
        Decision {
            allowed,
            by_default,
            decider,
            matched: names(false),
            shadow: names(true),
            would_allow: allowed_by(true).0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Decision, Field, Policies, Request, Rule};

    fn decide(rules: &[Rule], default_deny: bool, request: &Request) -> Decision {
        Policies { rules: rules.to_vec(), default_deny }.decide(request)
    }

    fn to(service: &str) -> Request {
        Request { service: Some(service.to_owned()), ..Request::default() }
    }

    #[test]
    fn a_deny_beats_an_allow_and_an_allow_beats_the_default() {
        let rules = [
            Rule::new("open", "allow").with(Field::Service, "a, b"),
            Rule::new("closed", "deny").with(Field::Service, "b"),
        ];
        let outcome = |service| {
            let Decision { allowed, by_default, decider, .. } = decide(&rules, true, &to(service));
            (allowed, by_default, decider)
        };
        assert_eq!(outcome("a"), (true, false, Some("open".to_owned())));
        assert_eq!(outcome("b"), (false, false, Some("closed".to_owned())));
        assert_eq!(outcome("c"), (false, true, None));
        assert!(decide(&rules, false, &to("c")).allowed);
    }

    #[test]
    fn the_most_restrictive_speaks_then_the_first_priority_then_the_first_name() {
        let mut rules = ["log", "alert", "throttle:slow", "redirect:z", "allow"]
            .map(|action| Rule::new(action, action))
            .to_vec();
        let decider = |rules: &[Rule]| decide(rules, false, &to("a")).decider;
        assert_eq!(decider(&rules).as_deref(), Some("redirect:z"));
        rules.push(Rule::new("another", "redirect:y"));
        assert_eq!(decider(&rules).as_deref(), Some("another"));
        rules[3].priority = 99;
        assert_eq!(decider(&rules).as_deref(), Some("redirect:z"));
    }

    #[test]
    fn a_shadow_rule_says_what_would_be_and_a_disabled_one_nothing() {
        let mut rule = Rule::new("strict", "deny");
        rule.shadow = true;
        let decision = decide(std::slice::from_ref(&rule), false, &to("a"));
        assert!(decision.allowed && !decision.would_allow && decision.matched.is_empty());
        assert_eq!(decision.shadow.len(), 1);
        rule.enabled = false;
        let decision = decide(&[rule], false, &to("a"));
        assert!(decision.allowed && decision.would_allow && decision.shadow.is_empty());
    }

    #[test]
    fn a_condition_that_nothing_meets_and_a_redirect_to_itself_are_seen() {
        let rule = |field, text| Rule::new("rule", "redirect:b").with(field, text);
        for (field, text) in [
            (Field::Service, "a, !a"),
            (Field::Role, "admin, !admin"),
            (Field::Ip, "10.1.0.0/16, !10.0.0.0/8"),
            (Field::Ip, "10.1.2.3, !10.1.2.3"),
            (Field::Path, "/a/b, !/a"),
            (Field::Header, "X: a; !X"),
            (Field::Header, "X: ab*; !x: a*"),
            (Field::Method, "get, !GET"),
            (Field::Class, "low, !low"),
        ] {
            assert!(!rule(field, text).can_match(), "{field:?} {text}");
        }
        for (field, text) in [
            (Field::Ip, "10.0.0.0/8, !10.1.0.0/16"),
            (Field::Path, "/a, !/a/b"),
            (Field::Header, "X: a*; !X: a"),
            (Field::Role, "admin, !guest"),
            (Field::Hours, "22-6"),
        ] {
            assert!(rule(field, text).can_match(), "{field:?} {text}");
        }
        assert!(rule(Field::Path, "/").redirects_to_itself());
        assert!(rule(Field::Service, "a, b").redirects_to_itself());
        assert!(!rule(Field::Service, "!b").redirects_to_itself());
    }
}
