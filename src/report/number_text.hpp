#pragma once

#include <string>

namespace hdap::report {

/// `value` with `decimals` digits after the point, independent of the locale, never "-0.00";
/// "–" when it is not finite.
std::string fixed(double value, int decimals);

/// Decimals that show `largest` of a column with four significant digits: 0 to 3.
int decimals_for(double largest);

} // namespace hdap::report
