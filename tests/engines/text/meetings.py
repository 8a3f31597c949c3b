"""A meeting in English and one in Vietnamese."""

ENGLISH = (
    "Good morning everyone. Today we want to talk about the launch of the new mobile app, which is planned for "
    "March 15. Sales in the third quarter grew by 15% to $2.5 million, mostly because of the Berlin office. Dr. "
    "Anna Schmidt said the customers love the new design. However, the payment screen is still terribly slow and "
    "two customers complained last Tuesday. Who can look into the payment problem? Tom will fix the payment "
    "screen by Friday. Maria needs to send the budget to Acme Corp before the end of the month. Please review the"
    " contract draft. We also discussed hiring two engineers for the mobile team. The mobile app team has done a "
    "great job. I have to say that I am very happy with the progress. What about the marketing campaign? The "
    "marketing campaign starts in April and costs 20,000 euros. Let's meet again next Monday at 10:30. You can "
    "reach me at anna.schmidt@example.com."
)
VIETNAMESE = (
    "Chào mọi người. Hôm nay chúng ta bàn về việc ra mắt ứng dụng di động mới vào ngày 15 tháng 3. Doanh thu quý "
    "ba tăng 15 phần trăm. Anh Nam sẽ sửa màn hình thanh toán trước thứ sáu. Chị Lan cần gửi ngân sách cho Công "
    "ty Hòa Bình. Ai phụ trách chiến dịch quảng cáo không? Ứng dụng di động rất quan trọng với công ty."
)
GERMAN = "Guten Morgen zusammen. Heute sprechen wir über die neue App. Tom soll bis Freitag die Bezahlung reparieren."
