using Microsoft.Extensions.Options;
using Serverless.Hosting.RabbitMq.Connection;
using Shouldly;

namespace Serverless.Tests.RabbitMq;

public sealed class OutstandingBytesTests
{
    private readonly OutstandingBytes _budget = new(Options.Create(new RabbitMqOptions { MaxOutstandingBytes = 1_000_000 }));

    [Theory]
    [InlineData(16, 10, 0, 32)] // there is room: twice as many
    [InlineData(16, 50_000, 0, 20)] // for so many of that size
    [InlineData(16, 100_000, 0, null)] // less than the present window
    [InlineData(16, 1000, 990_000, null)] // others have it
    [InlineData(16_384, 1, 0, 16_384)] // AMQP counts to 65,535
    [InlineData(16, 0, 0, 32)]
    public void A_window_opens_as_far_as_the_budget_of_the_process_has_room(int present, long meanBytes, long held, int? window)
    {
        _budget.Add(held);

        _budget.Window(present, meanBytes).ShouldBe(window);
    }
}
