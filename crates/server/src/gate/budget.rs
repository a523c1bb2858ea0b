//! What each client may still spend on questions.
//!
//! In: a client, a cost, the time. Out: leave to go on, or how long to wait. A client's account fills at a
//! steady rate up to what can be saved; a request may begin while the account is not overdrawn, and takes
//! its whole cost out of it, so that the dearest request that the limits allow can be asked and paid for
//! afterwards. Not here: who the client is, what a request costs.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base::Timestamp;
use parking_lot::Mutex;

use crate::settings::graphql::Budget;

/// Between two looks for accounts that are full again.
const SWEEP_MICROS: i64 = 1_000_000;

/// The longest time that anybody is told to wait.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

/// Whose account it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Client {
    /// The owner of the machine, who pays nothing.
    Owner,
    /// Whom a token speaks for.
    Subject(Arc<str>),
    /// Nobody that is known: where the request came from.
    Address(IpAddr),
    /// All those for whom there was no room.
    Others,
}

impl Client {
    /// The client at an address. A network of IPv6 that one household gets is one client, for it has more
    /// addresses than accounts could be kept.
    pub(crate) fn at(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Client::Address(address),
            IpAddr::V6(long) => match long.to_ipv4_mapped() {
                Some(short) => Client::Address(short.into()),
                None => Client::Address(IpAddr::V6((long.to_bits() >> 64 << 64).into())),
            },
        }
    }
}

/// The accounts of all clients.
#[derive(Debug)]
pub(crate) struct Budgets {
    terms: Budget,
    accounts: Mutex<Accounts>,
}

#[derive(Debug, Default)]
struct Accounts {
    by_client: HashMap<Client, Account>,
    swept: i64,
}

#[derive(Clone, Copy, Debug)]
struct Account {
    /// What was there then; less than nothing when the last request was dearer than that.
    amount: f64,
    /// When, in microseconds.
    at: i64,
}

impl Account {
    /// What is there now.
    fn now(self, terms: &Budget, now: i64) -> f64 {
        let seconds = now.saturating_sub(self.at).max(0) as f64 / 1e6;
        (self.amount + seconds * terms.a_second).min(terms.saved)
    }
}

impl Budgets {
    pub(crate) fn new(terms: Budget) -> Self {
        Budgets { terms, accounts: Mutex::default() }
    }

    /// Takes `cost` out of a client's account, of which the same request took `paid` before. Otherwise
    /// gives how long it takes until the account is not overdrawn any more.
    pub(crate) fn spend(
        &self,
        client: &Client,
        cost: f64,
        paid: f64,
        now: Timestamp,
    ) -> Result<(), Duration> {
        if *client == Client::Owner || self.terms.a_second <= 0.0 {
            return Ok(());
        }
        let now = now.as_micros();
        let mut accounts = self.accounts.lock();
        let client = self.seated(&mut accounts, client, now);
        let known = accounts.by_client.get(&client);
        let amount = known.map_or(self.terms.saved, |account| account.now(&self.terms, now));
        if amount + paid < 0.0 {
            let seconds = -(amount + paid) / self.terms.a_second;
            return Err(Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST).min(LONGEST));
        }
        accounts.by_client.insert(client, Account { amount: amount - cost, at: now });
        Ok(())
    }

    /// How many accounts are kept.
    pub(crate) fn clients(&self) -> usize {
        self.accounts.lock().by_client.len()
    }

    /// The account that a client uses: its own, or the common one when there are too many. An account
    /// that is full says no more than none, and makes room.
    fn seated(&self, accounts: &mut Accounts, client: &Client, now: i64) -> Client {
        let has_room = |accounts: &Accounts| accounts.by_client.len() < self.terms.clients;
        if accounts.by_client.contains_key(client) || has_room(accounts) {
            return client.clone();
        }
        if now.saturating_sub(accounts.swept) >= SWEEP_MICROS {
            accounts.swept = now;
            let owes = |account: &Account| account.now(&self.terms, now) < self.terms.saved;
            accounts.by_client.retain(|_, account| owes(account));
        }
        if has_room(accounts) { client.clone() } else { Client::Others }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn budgets(a_second: f64, saved: f64, clients: usize) -> Budgets {
        Budgets::new(Budget { a_second, saved, clients })
    }

    /// Spends at a second; gives the seconds to wait, in whole ones, when it is refused.
    fn spend(budgets: &Budgets, who: &str, cost: f64, second: i64) -> Option<u64> {
        let client = Client::Subject(who.into());
        let now = Timestamp::from_micros(second * SECOND);
        budgets.spend(&client, cost, 0.0, now).err().map(|wait| wait.as_secs())
    }

    #[test]
    fn what_is_saved_can_be_spent_at_once_and_comes_back_at_the_rate() {
        let budgets = budgets(10.0, 100.0, 8);
        assert_eq!(spend(&budgets, "ann", 60.0, 0), None);
        assert_eq!(spend(&budgets, "ann", 60.0, 0), None, "it is overdrawn by this one");
        assert_eq!(spend(&budgets, "ann", 1.0, 0), Some(2));
        assert_eq!(spend(&budgets, "ann", 1.0, 1), Some(1));
        assert_eq!(spend(&budgets, "ann", 1.0, 2), None);
        // Nothing is saved beyond the most.
        assert_eq!(spend(&budgets, "ann", 130.0, 1000), None);
        assert_eq!(spend(&budgets, "ann", 1.0, 1000), Some(3));
    }

    #[test]
    fn a_debt_that_no_time_pays_back_has_an_end() {
        let budgets = budgets(1e-300, 1.0, 8);
        assert_eq!(spend(&budgets, "ann", 1e300, 0), None);
        assert_eq!(spend(&budgets, "ann", 1.0, 0), Some(LONGEST.as_secs()));
    }

    #[test]
    fn clients_do_not_pay_for_each_other() {
        let budgets = budgets(1.0, 10.0, 8);
        assert_eq!(spend(&budgets, "ann", 50.0, 0), None);
        assert_eq!(spend(&budgets, "ann", 1.0, 0), Some(40));
        assert_eq!(spend(&budgets, "bob", 1.0, 0), None);
        assert_eq!(budgets.spend(&Client::Owner, 1e12, 0.0, Timestamp::from_micros(0)), Ok(()));
        assert_eq!(budgets.spend(&Client::Owner, 1.0, 0.0, Timestamp::from_micros(0)), Ok(()));
    }

    #[test]
    fn without_a_rate_nobody_has_a_budget() {
        let budgets = budgets(0.0, 0.0, 8);
        assert_eq!(spend(&budgets, "ann", 1e12, 0), None);
        assert_eq!(spend(&budgets, "ann", 1e12, 0), None);
        assert_eq!(budgets.clients(), 0);
    }

    #[test]
    fn accounts_are_bounded_and_those_without_one_share() {
        let budgets = budgets(1.0, 10.0, 2);
        for who in ["ann", "bob", "cyd"] {
            assert_eq!(spend(&budgets, who, 20.0, 0), None, "{who}");
        }
        assert_eq!(spend(&budgets, "dan", 1.0, 0), Some(10), "cyd emptied what others share");
        assert_eq!(spend(&budgets, "ann", 1.0, 0), Some(10));
        assert_eq!(budgets.clients(), 3);
        // Whoever is full again makes room.
        assert_eq!(spend(&budgets, "dan", 1.0, 30), None);
        assert_eq!(budgets.clients(), 1);
    }

    #[test]
    fn what_was_paid_for_the_same_request_is_no_debt() {
        let budgets = budgets(1.0, 0.0, 2);
        let (ann, now) = (Client::Subject("ann".into()), Timestamp::from_micros(0));
        assert_eq!(budgets.spend(&ann, 1.0, 0.0, now), Ok(()));
        assert_eq!(budgets.spend(&ann, 4.0, 1.0, now), Ok(()));
        assert_eq!(budgets.spend(&ann, 4.0, 1.0, now), Err(Duration::from_secs(4)));
    }

    #[test]
    fn a_network_of_long_addresses_is_one_client() {
        let at = |text: &str| Client::at(text.parse().unwrap());
        assert_eq!(at("2001:db8:1:2:3::4"), at("2001:db8:1:2:ffff::"));
        assert_ne!(at("2001:db8:1:2::"), at("2001:db8:1:3::"));
        assert_ne!(at("192.0.2.1"), at("192.0.2.2"));
        assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
    }
}
