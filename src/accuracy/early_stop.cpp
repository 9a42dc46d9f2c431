#include "hdap/accuracy/early_stop.hpp"

#include <algorithm>
#include <cmath>

namespace hdap::accuracy {

double accuracy_upper_bound(std::int64_t right, std::int64_t seen, std::int64_t images,
                            double error) {
    const auto n = static_cast<double>(seen);
    const auto all = static_cast<double>(images);
    const double left_to_draw = 1.0 - (n - 1.0) / all;
    const double margin = std::sqrt(left_to_draw * -std::log(error) / (2.0 * n));
    const double certain = static_cast<double>(right + images - seen) / all;
    return std::min(static_cast<double>(right) / n + margin, certain);
}

bool is_hopeless(const EarlyStop& rule, std::int64_t right, std::int64_t seen, std::int64_t images,
                 std::int64_t looks) {
    if (rule.confidence <= 0.0 || seen >= images) return false;
    const double error = (1.0 - rule.confidence) / static_cast<double>(looks);
    return accuracy_upper_bound(right, seen, images, error) < rule.needed;
}

} // namespace hdap::accuracy
