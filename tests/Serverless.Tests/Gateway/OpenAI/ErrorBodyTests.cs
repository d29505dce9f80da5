using System.Text;
using System.Text.Json;
using Serverless.Errors;
using Serverless.Gateway.OpenAI;
using Shouldly;

namespace Serverless.Tests.Gateway.OpenAI;

public sealed class ErrorBodyTests
{
    [Fact]
    public void Every_error_has_all_four_keys_and_the_tables_type_and_code()
    {
        foreach (var error in Enum.GetValues<ServingError>())
        {
            var body = JsonElement.Parse(ErrorBody.Encode(new ServingFault(error, "What happened."))).GetProperty("error");

            body.EnumerateObject().Select(property => property.Name).ShouldBe(["message", "type", "param", "code"]);
            body.GetProperty("type").GetString().ShouldBe(ServingErrors.Row(error).Type);
            body.GetProperty("code").GetString().ShouldBe(ServingErrors.Row(error).Code);
            body.GetProperty("param").ValueKind.ShouldBe(JsonValueKind.Null);
        }
    }

    [Fact]
    public void A_fault_may_name_a_field_and_another_code() =>
        Encoding.UTF8.GetString(ErrorBody.Encode(new ServingFault(ServingError.InvalidRequest, "\"é\" is wrong.", "messages[0].role", "odd")))
            .ShouldBe("""{"error":{"message":"\"é\" is wrong.","type":"invalid_request_error","param":"messages[0].role","code":"odd"}}""");

    [Theory]
    [InlineData(0.2, 1)]
    [InlineData(1.1, 2)]
    [InlineData(30, 30)]
    [InlineData(3600, 60)]
    public void Retry_after_is_whole_seconds_that_clients_obey(double seconds, int expected) =>
        ErrorBody.RetryAfterSeconds(new ServingFault(ServingError.QueueFull, "Full.", RetryAfter: TimeSpan.FromSeconds(seconds))).ShouldBe(expected);

    [Fact]
    public void What_cannot_be_helped_by_a_retry_names_no_delay() => ErrorBody.RetryAfterSeconds(new ServingFault(ServingError.ModelNotFound, "No.")).ShouldBeNull();
}
