#include "uniform.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace hdap::search {

namespace {

using network::Genome;

/// The keep ratios at which a group's count changes, of all genes, descending, each once.
std::vector<double> turning_points(const Genes& genes) {
    std::vector<double> points;
    for (const std::vector<std::size_t>& groups : genes.groups_of)
        for (const std::size_t group : groups) {
            const std::vector<std::int32_t> counts = genes.space.allowed_counts(group);
            for (std::size_t i = 1; i < counts.size(); ++i)
                points.push_back((counts[i - 1] + counts[i]) / (2.0 * counts.back()));
        }
    std::ranges::sort(points, std::ranges::greater{});
    points.erase(std::unique(points.begin(), points.end()), points.end());
    return points;
}

/// The digits of `i` in base 2, mirrored at the point: in [0, 1).
double van_der_corput(std::size_t i) {
    double value = 0;
    for (double digit = 0.5; i > 0; i /= 2, digit /= 2)
        value += static_cast<double>(i % 2) * digit;
    return value;
}

/// It learns nothing, so there is nothing to keep.
class UniformSearch final : public Algorithm {
  public:
    UniformSearch(const AlgorithmParameters& parameters, const AlgorithmProblem& problem)
        : population_(static_cast<std::size_t>(parameters.population)),
          genes_(genes_of(parameters, problem)), ratios_(uniform_ratios(genes_)),
          order_(spread_order(ratios_.size())) {}

    std::vector<Genome> ask(std::int64_t generation, const EvaluationLog& /*log*/) override {
        const std::size_t first =
            std::min(static_cast<std::size_t>(generation) * population_, order_.size());
        const std::size_t last = std::min(first + population_, order_.size());
        std::vector<Genome> widths;
        for (std::size_t i = first; i < last; ++i)
            widths.push_back(genes_.uniform(ratios_[order_[i]]));
        if (widths.empty()) widths.push_back(genes_.unpruned);
        return widths;
    }

    void tell(std::span<const std::int32_t> /*entries*/, const EvaluationLog& /*log*/) override {}
    void save(storage::Hdf5Writer& /*file*/) const override {}
    void restore(const storage::Hdf5Reader& /*file*/, const EvaluationLog& /*log*/) override {}

  private:
    std::size_t population_;
    Genes genes_;
    std::vector<double> ratios_;
    std::vector<std::size_t> order_; ///< into ratios_
};

} // namespace

std::vector<double> uniform_ratios(const Genes& genes) {
    const std::vector<double> points = turning_points(genes);
    std::vector<double> ratios{1};
    Genome latest = genes.unpruned;
    // Between two turning points all ratios give one genome. At the points themselves rounding
    // would decide.
    for (std::size_t i = 0; i < points.size(); ++i) {
        const double ratio = i + 1 < points.size() ? (points[i] + points[i + 1]) / 2 : 0;
        Genome genome = genes.uniform(ratio);
        if (genome == latest) continue;
        ratios.push_back(ratio);
        latest = std::move(genome);
    }
    return ratios;
}

std::vector<std::size_t> spread_order(std::size_t count) {
    std::vector<std::size_t> order;
    std::vector<bool> present(count, false);
    const auto add = [&](std::size_t index) {
        if (!present[index]) order.push_back(index);
        present[index] = true;
    };
    if (count > 0) add(0);
    if (count > 1) add(count - 1);
    for (std::size_t i = 1; order.size() < count; ++i)
        add(static_cast<std::size_t>(
            std::lround(van_der_corput(i) * static_cast<double>(count - 1))));
    return order;
}

std::unique_ptr<Algorithm> make_uniform(const AlgorithmParameters& parameters,
                                        const AlgorithmProblem& problem) {
    return std::make_unique<UniformSearch>(parameters, problem);
}

} // namespace hdap::search
