#pragma once

#include <cstdint>
#include <optional>

namespace hdap::fleet {

/// What a pair of counters says: the time that something took in all, and how often it happened.
struct CounterTotals {
    double ms = 0.0;
    double count = 0.0;
};

/// A pair of counters over the scrapes of it.
class CounterPair {
  public:
    /// The next scrape. Totals below those before are taken for those of a server that began again.
    void add(const CounterTotals& totals) {
        ++scrapes_;
        if (!last_) {
            first_ = totals;
        } else if (totals.ms < last_->ms || totals.count < last_->count) {
            ++restarts_;
            grow(totals);
        } else {
            grow({totals.ms - last_->ms, totals.count - last_->count});
        }
        last_ = totals;
    }

    /// What both grew by from the first scrape to the last; of a single scrape its totals.
    [[nodiscard]] CounterTotals grown() const { return scrapes_ == 1 ? first_ : grown_; }
    [[nodiscard]] std::int64_t restarts() const noexcept { return restarts_; }

  private:
    void grow(const CounterTotals& by) {
        grown_.ms += by.ms;
        grown_.count += by.count;
    }

    std::int64_t scrapes_ = 0;
    std::int64_t restarts_ = 0;
    CounterTotals first_;
    std::optional<CounterTotals> last_;
    CounterTotals grown_;
};

} // namespace hdap::fleet
