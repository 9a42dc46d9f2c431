#include "surrogate/forest_kernel.hpp"

#include "hdap/core/error.hpp"
#include "surrogate/random_forest.hpp"

#include <catch2/catch.hpp>

#include <limits>

using namespace hdap;
using surrogate::Forest;
using surrogate::ForestKernel;
using surrogate::InstructionSet;

namespace {

constexpr InstructionSet all_sets[] = {InstructionSet::portable, InstructionSet::avx2,
                                       InstructionSet::avx512};

/// What the kernel must give, from predict_reference.
std::vector<double> expected(const ForestKernel& kernel, const std::vector<float>& features,
                             std::size_t rows, const std::vector<double>& scale) {
    std::vector<double> result;
    for (std::size_t row = 0; row < rows; ++row) {
        const auto values = std::span(features).subspan(row * kernel.columns(), kernel.columns());
        for (std::size_t k = 0; k < scale.size(); ++k)
            result.push_back(scale[k] * static_cast<double>(surrogate::predict_reference(
                                            kernel.forests()[k], values)));
    }
    return result;
}

/// Checks all instruction sets of this processor with several numbers of threads.
void check_kernel(const ForestKernel& kernel, const std::vector<float>& features,
                  std::size_t rows) {
    std::vector<double> scale;
    for (std::size_t k = 0; k < kernel.forests().size(); ++k)
        scale.push_back(1.0 + 0.37 * static_cast<double>(k));
    const std::vector<double> truth = expected(kernel, features, rows, scale);
    for (const InstructionSet set : all_sets) {
        if (!surrogate::supported(set)) continue;
        for (const int threads : {1, 2, 5}) {
            std::vector<double> result(rows * scale.size(), -1.0);
            kernel.predict(features, rows, scale, result, threads, set);
            INFO("instruction set " << static_cast<int>(set) << ", " << threads << " threads, "
                                    << rows << " rows");
            CHECK(result == truth);
        }
    }
}

ForestKernel random_kernel(std::size_t clusters, std::size_t trees, int depth, std::size_t columns,
                           std::uint64_t levels) {
    std::vector<Forest> forests;
    for (std::size_t k = 0; k < clusters; ++k)
        forests.push_back(
            test::random_forest(static_cast<std::uint32_t>(k), trees, depth, columns, levels));
    return ForestKernel(std::move(forests));
}

} // namespace

TEST_CASE("ForestKernel refuses forests that are invalid or do not belong together",
          "[forest_kernel]") {
    using Catch::Matchers::Contains;
    Forest broken = test::random_forest(0, 3, 3, 4);
    broken.tree_begin.back() += 1;
    CHECK_THROWS_WITH(ForestKernel({broken}), Contains("forest 0: tree_begin"));
    CHECK_THROWS_WITH(
        ForestKernel({test::random_forest(0, 3, 3, 4), test::random_forest(1, 3, 3, 5)}),
        Contains("forest 1 has 5 columns, forest 0 has 4"));
}

TEST_CASE("ForestKernel refuses sizes that do not fit and threads below 1", "[forest_kernel]") {
    const ForestKernel kernel = random_kernel(2, 3, 3, 4, 16);
    const std::vector<double> scale(2, 1.0);
    const std::vector<float> features(3 * 4);
    std::vector<double> result(3 * 2);
    const auto view = std::span(result);
    CHECK_NOTHROW(kernel.predict(features, 3, scale, result, 1));
    CHECK_THROWS_AS(kernel.predict(features, 2, scale, result, 1), core::DataError);
    CHECK_THROWS_AS(kernel.predict(features, 3, std::span(scale).first(1), result, 1),
                    core::DataError);
    CHECK_THROWS_AS(kernel.predict(features, 3, scale, view.first(5), 1), core::DataError);
    CHECK_THROWS_AS(kernel.predict(features, 3, scale, view.first(4), 1), core::DataError);
    CHECK_THROWS_AS(kernel.predict(features, 3, scale, result, 0), core::ConfigError);
    CHECK_NOTHROW(kernel.predict({}, 0, scale, {}, 1));
    for (const InstructionSet set : all_sets)
        if (!surrogate::supported(set))
            CHECK_THROWS_AS(kernel.predict(features, 3, scale, result, 1, set), core::ConfigError);
}

TEST_CASE("the portable kernels are always there", "[forest_kernel]") {
    CHECK(surrogate::supported(InstructionSet::portable));
    CHECK(surrogate::supported(surrogate::best_instruction_set()));
}

TEST_CASE("ForestKernel equals the reference bit for bit at every depth", "[forest_kernel]") {
    for (int depth = 0; depth <= 8; ++depth) { // 7 and 8 go by the reference
        const ForestKernel kernel = random_kernel(3, 12, depth, 5, 16);
        check_kernel(kernel, test::random_features(1, 150, 5), 150);
    }
}

TEST_CASE("ForestKernel equals the reference for any number of rows", "[forest_kernel]") {
    const ForestKernel kernel = random_kernel(2, 20, 3, 16, 16);
    for (const std::size_t rows : {1, 15, 63, 64, 65, 127, 128, 200})
        check_kernel(kernel, test::random_features(2, rows, 16), rows);
}

TEST_CASE("ForestKernel equals the reference with ranks of one and of two bytes",
          "[forest_kernel]") {
    // 40 trees of depth 6 over 2 columns: about 1,000 nodes a column, of `levels` thresholds.
    for (const std::uint64_t levels : {3, 60, 65, 255, 256, 700})
        check_kernel(random_kernel(2, 40, 6, 2, levels),
                     test::random_features(3, 200, 2, 2 * levels), 200);
}

TEST_CASE("ForestKernel with too many columns or thresholds goes by the reference",
          "[forest_kernel]") {
    check_kernel(random_kernel(1, 10, 3, 70'000, 16), test::random_features(4, 3, 70'000), 3);
    // Complete trees over one column with more distinct thresholds than 16 bits can number.
    check_kernel(random_kernel(4, 600, 6, 1, 100'000'000),
                 test::random_features(5, 70, 1, 1'000'000), 70);
}

TEST_CASE("ForestKernel treats NaN, infinities and thresholds as the reference does",
          "[forest_kernel]") {
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    constexpr float infinity = std::numeric_limits<float>::infinity();
    for (const std::uint64_t levels : {8, 200}) {
        const ForestKernel kernel = random_kernel(2, 60, 4, 3, levels);
        std::vector<float> features = test::random_features(6, 90, 3, 2 * levels);
        const float special[] = {nan,  infinity, -infinity,
                                 0.0F, -0.0F,    kernel.forests()[0].threshold[0]};
        for (std::size_t i = 0; i < features.size(); i += 4)
            features[i] = special[i / 4 % std::size(special)];
        check_kernel(kernel, features, 90);
    }
}

TEST_CASE("a forest without trees predicts its base score", "[forest_kernel]") {
    check_kernel(ForestKernel({test::random_forest(0, 0, 3, 2), test::random_forest(1, 5, 3, 2)}),
                 test::random_features(7, 10, 2), 10);
    check_kernel(ForestKernel({test::random_forest(0, 0, 3, 2)}), test::random_features(7, 10, 2),
                 10);
}
