#pragma once

#include <vector>

namespace hdap::fleet {

/// The median of at least one value; the mean of the middle two when their number is even.
/// Complexity: O(n).
double median(std::vector<double> values);

} // namespace hdap::fleet
