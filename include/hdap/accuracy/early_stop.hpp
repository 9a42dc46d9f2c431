#pragma once

#include <cstdint>

namespace hdap::accuracy {

/// When the evaluation of a candidate is given up: once its accuracy is below `needed` with
/// `confidence`, as seen from the images so far.
struct EarlyStop {
    double needed = 0.0;     ///< accuracy, [0, 1]
    double confidence = 0.0; ///< that a candidate that is given up is below; 0: none is; [0, 1)
};

/// An upper bound of the accuracy on `images` images, of which `seen` in a random order brought
/// `right` right ones; it holds with probability 1 − `error`. The one-sided bound of Hoeffding for
/// draws without replacement (Serfling, Annals of Statistics 1974, corollary 1.1), and never more
/// than if all others were right. 1 ≤ seen ≤ images, 0 < error < 1.
double accuracy_upper_bound(std::int64_t right, std::int64_t seen, std::int64_t images,
                            double error);

/// Whether to give up a candidate after `seen` of `images` images. `looks`: how often this is asked
/// in an evaluation; the chance of a wrong answer is shared among them.
bool is_hopeless(const EarlyStop& rule, std::int64_t right, std::int64_t seen, std::int64_t images,
                 std::int64_t looks);

} // namespace hdap::accuracy
