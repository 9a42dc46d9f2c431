#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace hdap::surrogate {

/// XGBoost's matrix of features (DMatrix). An error of XGBoost is an InternalError with its words.
class XgboostMatrix {
  public:
    /// Copies `values`, [rows][columns]. NaN stands for a missing value.
    XgboostMatrix(std::span<const float> values, std::size_t rows, std::size_t columns);
    ~XgboostMatrix();
    XgboostMatrix(XgboostMatrix&&) noexcept;
    XgboostMatrix& operator=(XgboostMatrix&&) noexcept;

    /// Sets what is to be learnt, [rows].
    void set_labels(std::span<const float> labels);

  private:
    friend class XgboostBooster;
    struct Handle;
    std::unique_ptr<Handle> handle_;
};

/// XGBoost's model (Booster). An error of XGBoost is an InternalError with its words.
class XgboostBooster {
  public:
    /// A model without trees, to be trained on `training`.
    explicit XgboostBooster(const XgboostMatrix& training);
    ~XgboostBooster();
    XgboostBooster(XgboostBooster&&) noexcept;
    XgboostBooster& operator=(XgboostBooster&&) noexcept;

    /// Sets a parameter by XGBoost's name, e.g. ("max_depth", "3").
    void set(const std::string& name, const std::string& value);

    /// Adds one round of boosting: one tree.
    void boost(int round, const XgboostMatrix& training);

    /// The whole model in XGBoost's JSON.
    [[nodiscard]] std::string json() const;

    /// XGBoost's own prediction of `values`, [rows][columns], by its in-place prediction of dense
    /// data, which keeps no cache. The result, [rows], is XGBoost's buffer: it holds until the
    /// next call on this model by the same thread.
    [[nodiscard]] std::span<const float> predict(std::span<const float> values, std::size_t rows,
                                                 std::size_t columns) const;

  private:
    struct Handle;
    std::unique_ptr<Handle> handle_;
};

/// "1.7.4": the version of the XGBoost library in use.
std::string xgboost_version();

} // namespace hdap::surrogate
