#include "generation_failures.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace hdap::search {

GenerationFailures::GenerationFailures(const EvaluationLog& log, std::size_t batch, double most)
    : most_(most) {
    const std::size_t older = std::min(log.size(), fewest_judged - std::min(fewest_judged, batch));
    judged_ = older + batch;
    before_ = log.failures(log.size() - older);
}

void GenerationFailures::add(const std::string& reason) {
    ++count_;
    const std::size_t failed = before_ + count_;
    if (static_cast<double>(failed) <= most_ * static_cast<double>(judged_)) return;
    throw core::DataError(fmt::format(
        "{} of the latest {} candidates failed, more than search.max_failures = {} lets pass; "
        "their files and what was printed are in failed/ of the run directory. When the cause is "
        "gone, the same command goes on. The last one: {}",
        failed, judged_, core::shortest(most_), reason));
}

} // namespace hdap::search
