#include "surrogate/xgboost.hpp"

#include "hdap/core/error.hpp"

#include <fmt/core.h>
#include <xgboost/c_api.h>

#include <limits>
#include <utility>

namespace hdap::surrogate {
namespace {

void check(int status, const char* function) {
    if (status == 0) return;
    std::string reason = XGBGetLastError();
    // XGBoost appends its stack trace.
    reason = reason.substr(0, reason.find('\n'));
    throw core::InternalError(fmt::format("{} failed: {}", function, reason));
}

void check_size(std::size_t values, std::size_t rows, std::size_t columns) {
    if (rows == 0 || columns == 0 || values / columns != rows || values % columns != 0)
        throw core::DataError(fmt::format(
            "a matrix of {} rows and {} columns cannot have {} values", rows, columns, values));
}

} // namespace

struct XgboostMatrix::Handle {
    DMatrixHandle matrix = nullptr;

    Handle() = default;
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    ~Handle() {
        if (matrix != nullptr) XGDMatrixFree(matrix);
    }
};

struct XgboostBooster::Handle {
    BoosterHandle booster = nullptr;

    Handle() = default;
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    ~Handle() {
        if (booster != nullptr) XGBoosterFree(booster);
    }
};

XgboostMatrix::XgboostMatrix(std::span<const float> values, std::size_t rows, std::size_t columns)
    : handle_(std::make_unique<Handle>()) {
    check_size(values.size(), rows, columns);
    check(XGDMatrixCreateFromMat(values.data(), rows, columns,
                                 std::numeric_limits<float>::quiet_NaN(), &handle_->matrix),
          "XGDMatrixCreateFromMat");
}

XgboostMatrix::~XgboostMatrix() = default;
XgboostMatrix::XgboostMatrix(XgboostMatrix&&) noexcept = default;
XgboostMatrix& XgboostMatrix::operator=(XgboostMatrix&&) noexcept = default;

void XgboostMatrix::set_labels(std::span<const float> labels) {
    check(XGDMatrixSetFloatInfo(handle_->matrix, "label", labels.data(), labels.size()),
          "XGDMatrixSetFloatInfo");
}

XgboostBooster::XgboostBooster(const XgboostMatrix& training)
    : handle_(std::make_unique<Handle>()) {
    check(XGBoosterCreate(&training.handle_->matrix, 1, &handle_->booster), "XGBoosterCreate");
}

XgboostBooster::~XgboostBooster() = default;
XgboostBooster::XgboostBooster(XgboostBooster&&) noexcept = default;
XgboostBooster& XgboostBooster::operator=(XgboostBooster&&) noexcept = default;

void XgboostBooster::set(const std::string& name, const std::string& value) {
    check(XGBoosterSetParam(handle_->booster, name.c_str(), value.c_str()), "XGBoosterSetParam");
}

void XgboostBooster::boost(int round, const XgboostMatrix& training) {
    check(XGBoosterUpdateOneIter(handle_->booster, round, training.handle_->matrix),
          "XGBoosterUpdateOneIter");
}

std::string XgboostBooster::json() const {
    bst_ulong length = 0;
    const char* text = nullptr;
    check(XGBoosterSaveModelToBuffer(handle_->booster, R"({"format": "json"})", &length, &text),
          "XGBoosterSaveModelToBuffer");
    return {text, length};
}

std::span<const float> XgboostBooster::predict(std::span<const float> values, std::size_t rows,
                                               std::size_t columns) const {
    check_size(values.size(), rows, columns);
    // NumPy's __array_interface__, which is how XGBoost takes dense data without a copy.
    const std::string array =
        fmt::format(R"({{"data": [{}, true], "shape": [{}, {}], "typestr": "<f4", "version": 3}})",
                    reinterpret_cast<std::uintptr_t>(values.data()), rows, columns);
    constexpr const char* options = R"({"type": 0, "training": false, "iteration_begin": 0,)"
                                    R"( "iteration_end": 0, "strict_shape": false,)"
                                    R"( "missing": NaN, "cache_id": 0})";
    const bst_ulong* shape = nullptr;
    bst_ulong dimensions = 0;
    const float* result = nullptr;
    check(XGBoosterPredictFromDense(handle_->booster, array.c_str(), options, nullptr, &shape,
                                    &dimensions, &result),
          "XGBoosterPredictFromDense");
    return {result, rows};
}

std::string xgboost_version() {
    int major = 0;
    int minor = 0;
    int patch = 0;
    XGBoostVersion(&major, &minor, &patch);
    return fmt::format("{}.{}.{}", major, minor, patch);
}

} // namespace hdap::surrogate
