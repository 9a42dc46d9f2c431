#pragma once

#include <Eigen/Core>

#include <vector>

namespace hdap::surrogate {

/// The x ≥ 0 of the least ½ xᵀ H x − gᵀ x, for a symmetric and positive definite H, by block
/// principal pivoting (Júdice and Pires, "A block principal pivoting algorithm for large-scale
/// strictly monotone linear complementarity problems", Computers & Operations Research 21(5),
/// 1994), which ends after a finite number of exchanges. `free`: [variable] which ones are first
/// taken to be above zero, all where it is empty; becomes those that are. Deterministic.
/// Complexity: a Cholesky factorisation for each exchange, a handful of them.
Eigen::VectorXd non_negative_minimum(const Eigen::MatrixXd& hessian, const Eigen::VectorXd& linear,
                                     std::vector<bool>& free);

} // namespace hdap::surrogate
