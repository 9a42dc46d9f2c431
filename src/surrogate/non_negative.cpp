#include "surrogate/non_negative.hpp"

#include <Eigen/Cholesky>

#include <algorithm>
#include <cstddef>

namespace hdap::surrogate {
namespace {

std::vector<Eigen::Index> indices_of(const std::vector<bool>& free) {
    std::vector<Eigen::Index> indices;
    for (std::size_t i = 0; i < free.size(); ++i)
        if (free[i]) indices.push_back(static_cast<Eigen::Index>(i));
    return indices;
}

/// The minimum over the free variables, negative ones allowed, all others at zero.
Eigen::VectorXd minimum_over(const Eigen::MatrixXd& hessian, const Eigen::VectorXd& linear,
                             const std::vector<Eigen::Index>& free) {
    Eigen::VectorXd x = Eigen::VectorXd::Zero(linear.size());
    if (free.empty()) return x;
    const Eigen::MatrixXd part = hessian(free, free);
    const Eigen::VectorXd of_part = linear(free);
    const Eigen::VectorXd solved = part.llt().solve(of_part);
    x(free) = solved;
    return x;
}

/// The variables that must change sides: free ones below zero, others that would fall below the
/// minimum if they were free. Less than rounding does not count.
std::vector<std::size_t> misplaced(const Eigen::MatrixXd& hessian, const Eigen::VectorXd& linear,
                                   const std::vector<bool>& free, const Eigen::VectorXd& x) {
    constexpr double rounding = 1e-12;
    const Eigen::VectorXd slope = hessian * x - linear;
    const double least_slope = -rounding * linear.cwiseAbs().maxCoeff();
    const double least_x = -rounding * x.cwiseAbs().maxCoeff();
    std::vector<std::size_t> wrong;
    for (std::size_t i = 0; i < free.size(); ++i) {
        const auto at = static_cast<Eigen::Index>(i);
        if (free[i] ? x[at] < least_x : slope[at] < least_slope) wrong.push_back(i);
    }
    return wrong;
}

} // namespace

Eigen::VectorXd non_negative_minimum(const Eigen::MatrixXd& hessian, const Eigen::VectorXd& linear,
                                     std::vector<bool>& free) {
    const auto size = static_cast<std::size_t>(linear.size());
    if (free.size() != size) free.assign(size, true);
    // Exchanging all that are misplaced may go in circles; after three times without progress, one
    // at a time cannot (Murty's rule).
    constexpr int patience = 3;
    int left = patience;
    std::size_t fewest = size + 1;
    while (true) {
        const Eigen::VectorXd x = minimum_over(hessian, linear, indices_of(free));
        const std::vector<std::size_t> wrong = misplaced(hessian, linear, free, x);
        if (wrong.empty()) return x.cwiseMax(0.0);
        if (wrong.size() < fewest) {
            fewest = wrong.size();
            left = patience;
        } else if (left > 0) {
            --left;
        }
        if (left > 0)
            for (const std::size_t i : wrong)
                free[i] = !free[i];
        else
            free[wrong.back()] = !free[wrong.back()];
    }
}

} // namespace hdap::surrogate
