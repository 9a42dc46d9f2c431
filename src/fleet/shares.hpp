#pragma once

#include "hdap/parallel/communicator.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace hdap::fleet {

/// How the ranks of a job share the leaves of a tree that each of them has: every rank takes each
/// so-many-th leaf, so that costly regions meet all of them. Without a communicator one rank takes
/// all.
class Shares {
  public:
    explicit Shares(const parallel::Communicator* communicator = nullptr)
        : communicator_(communicator) {}

    [[nodiscard]] std::size_t ranks() const {
        return communicator_ == nullptr ? 1 : static_cast<std::size_t>(communicator_->size());
    }
    [[nodiscard]] std::size_t rank() const {
        return communicator_ == nullptr ? 0 : static_cast<std::size_t>(communicator_->rank());
    }

    /// How many of `items` this rank takes: rank(), rank() + ranks(), …
    [[nodiscard]] std::size_t mine(std::size_t items) const {
        return (items + ranks() - 1 - rank()) / ranks();
    }
    [[nodiscard]] std::size_t item(std::size_t of_mine) const { return rank() + of_mine * ranks(); }

    /// Every rank's values, one rank's behind the other's. Collective.
    template <class T>
    [[nodiscard]] std::vector<T> gather(std::vector<T> values) const {
        return ranks() == 1 ? std::move(values) : communicator_->all_gather(values);
    }

    /// Every rank's values in the order of the items, of each of which there are `each`.
    /// Collective.
    template <class T>
    [[nodiscard]] std::vector<T> gather_items(std::vector<T> values, std::size_t items,
                                              std::size_t each) const {
        if (ranks() == 1) return values;
        const std::vector<T> by_rank = communicator_->all_gather(values);
        std::vector<T> all(by_rank.size());
        auto next = by_rank.begin();
        for (std::size_t r = 0; r < ranks(); ++r)
            for (std::size_t i = r; i < items;
                 i += ranks(), next += static_cast<std::ptrdiff_t>(each))
                std::copy_n(next, each, all.begin() + static_cast<std::ptrdiff_t>(i * each));
        return all;
    }

  private:
    const parallel::Communicator* communicator_;
};

} // namespace hdap::fleet
