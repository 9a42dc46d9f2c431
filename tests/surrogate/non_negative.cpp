#include "surrogate/non_negative.hpp"

#include "hdap/core/random.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace hdap;
using surrogate::non_negative_minimum;

namespace {

Eigen::MatrixXd random_matrix(core::RandomStream& random, Eigen::Index rows, Eigen::Index columns) {
    Eigen::MatrixXd matrix(rows, columns);
    for (double& value : matrix.reshaped())
        value = random.normal();
    return matrix;
}

/// By many small steps downhill, each cut off at zero.
Eigen::VectorXd plain_minimum(const Eigen::MatrixXd& hessian, const Eigen::VectorXd& linear) {
    Eigen::VectorXd x = Eigen::VectorXd::Zero(linear.size());
    for (int sweep = 0; sweep < 20'000; ++sweep)
        for (Eigen::Index i = 0; i < x.size(); ++i)
            x[i] = std::max(0.0, x[i] + (linear[i] - hessian.row(i).dot(x)) / hessian(i, i));
    return x;
}

} // namespace

TEST_CASE("the non-negative minimum is that of coordinate descent, from any start") {
    core::RandomStream random(3, core::StreamId::testing);
    for (int round = 0; round < 30; ++round) {
        const Eigen::Index size = 1 + round;
        // Columns that are much alike, as features of layers are.
        Eigen::MatrixXd columns = random_matrix(random, 2 * size + 5, size);
        columns += 3.0 * random_matrix(random, 2 * size + 5, 1).replicate(1, size);
        const Eigen::MatrixXd hessian =
            columns.transpose() * columns + 0.01 * Eigen::MatrixXd::Identity(size, size);
        const Eigen::VectorXd linear = 10.0 * random_matrix(random, size, 1);
        std::vector<bool> free;
        const Eigen::VectorXd found = non_negative_minimum(hessian, linear, free);
        CHECK(found.minCoeff() >= 0.0);
        for (Eigen::Index i = 0; i < size; ++i)
            CHECK((found[i] > 0.0) == free[static_cast<std::size_t>(i)]);
        CHECK((found - plain_minimum(hessian, linear)).cwiseAbs().maxCoeff() <
              1e-6 * (1.0 + found.maxCoeff()));
        std::vector<bool> none(static_cast<std::size_t>(size), false);
        CHECK((non_negative_minimum(hessian, linear, none) - found).cwiseAbs().maxCoeff() <
              1e-9 * (1.0 + found.maxCoeff()));
    }
}

TEST_CASE("a minimum at zero, and one that nothing bounds, are found at once") {
    std::vector<bool> free;
    const Eigen::MatrixXd unit = Eigen::MatrixXd::Identity(3, 3);
    CHECK(non_negative_minimum(unit, Eigen::Vector3d(-1, -2, -3), free).isZero());
    CHECK(free == std::vector<bool>{false, false, false});
    free.clear();
    CHECK(non_negative_minimum(unit, Eigen::Vector3d(1, 2, 3), free)
              .isApprox(Eigen::Vector3d(1, 2, 3)));
}
