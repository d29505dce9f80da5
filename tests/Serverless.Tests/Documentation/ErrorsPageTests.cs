using System.Globalization;
using Serverless.Errors;
using Shouldly;

namespace Serverless.Tests.Documentation;

public sealed class ErrorsPageTests
{
    [Fact]
    public void Every_row_of_the_error_table_is_on_the_page_in_its_order_with_a_meaning()
    {
        var rows = Page.Rows("errors.md").Where(row => row.Length == 6 && row[0] is not "code").ToArray();

        rows.Select(row => string.Join(" | ", row[..5])).ShouldBe(ServingErrors.All.Select(Describe));
        rows.ShouldAllBe(row => row[5].Length > 20);
    }

    private static string Describe(ErrorRow row)
    {
        var broker = row.Broker switch
        {
            BrokerAnswer.DeadLetter => "dead letter",
            BrokerAnswer.Retry => "delivered again",
            BrokerAnswer.Acknowledge => "dropped",
            var other => other.ToString(),
        };
        return string.Create(CultureInfo.InvariantCulture, $"{(row.Code is null ? "(null)" : $"`{row.Code}`")} | {row.HttpStatus} | `{row.Type}` | {(row.RetryAfter is { } after ? $"{after.TotalSeconds} s" : "")} | {broker}");
    }
}
